import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { batches, digits } from '@imago/data'
import { predictor } from '@imago/runtime'
import { evaluate } from '@imago/trainer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SelfDistillationOptions, type SelfDistillationResult, selfDistillation } from '../../src/index.js'
import { fewLabels } from '../../src/self-distillation/shop.js'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-self-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const data = digits({ seed: 3, train: 300, test: 200 })
const small = {
  data,
  rows: 250,
  hidden: [16],
  seeds: [1],
  epochs: 4,
  generations: 2,
  labelled: 40,
  threads: 1,
} as const

async function drain(options: SelfDistillationOptions): Promise<{ jobs: string[]; result: SelfDistillationResult }> {
  const jobs: string[] = []
  const run = selfDistillation(options)
  for (;;) {
    const { value, done } = await run.next()
    if (done) return { jobs, result: value }
    if (value.kind === 'job' && value.state !== 'begins') jobs.push(`${value.job} ${value.state}`)
  }
}

describe('self-distillation', () => {
  it('gives a row for each method, counted on the files that it leaves, and finds them done', async () => {
    const runDir = join(root, 'run')
    const { jobs, result } = await drain({ ...small, runDir })
    const rows = [
      'labels',
      'mutual',
      'born again 1',
      'born again 2',
      'own logits',
      'virtual teacher',
      '40 labels',
      'mean teacher',
    ]
    expect(result.rows.map(({ name }) => name)).toEqual(rows)
    expect(result.effects).toHaveLength(5)
    expect(jobs.every((job) => job.endsWith('done'))).toBe(true)
    const test = batches(data.test, { size: 100, shuffle: false })
    for (const [name, files] of Object.entries({
      labels: ['labels-1/model.onnx'],
      mutual: ['mutual-1/peer-0.onnx', 'mutual-1/peer-1.onnx'],
      'born again 2': ['born-again-2-1/model.onnx'],
      'virtual teacher': ['virtual-teacher-1/model.onnx'],
      'mean teacher': ['mean-teacher-1/model.onnx'],
    })) {
      let errors = 0
      for (const file of files) {
        const predict = await predictor(join(runDir, file), { threads: 1 })
        errors += (100 * (await evaluate({ predict, data: test })).errorRate) / files.length
        await predict.dispose()
      }
      const row = result.rows.find((one) => one.name === name)!
      expect(row.errors).toBeCloseTo(errors, 9)
      // By chance it would be 90 %.
      if (name === 'labels') expect(row.errors).toBeLessThan(75)
    }
    const again = await drain({ ...small, runDir })
    expect(again.jobs.every((job) => job.endsWith('found'))).toBe(true)
    expect(again.result).toEqual(result)
  })

  it('goes on after a stop in the middle of two nets that teach each other', async () => {
    const whole = await drain({ ...small, generations: 0, runDir: join(root, 'whole') })
    const runDir = join(root, 'stopped')
    const stop = new AbortController()
    const run = selfDistillation({ ...small, generations: 0, runDir, signal: stop.signal })
    await expect(async () => {
      for await (const event of run)
        if (event.kind === 'report' && event.job === 'mutual-1' && 'step' in event.report && event.report.step === 7)
          stop.abort(new Error('enough'))
    }).rejects.toThrow('enough')
    const again = await drain({ ...small, generations: 0, runDir })
    expect(again.jobs).toContain('labels-1 found')
    expect(again.result.rows).toEqual(whole.result.rows)
  })

  it('takes labels away evenly, and refuses more than there are', async () => {
    const { labels } = fewLabels(data.train, 40).rows(Uint32Array.from({ length: 300 }, (_, i) => i))
    const kept = [...labels!].filter((label) => label >= 0)
    expect(kept).toHaveLength(40)
    for (let c = 0; c < 10; c++) expect(kept.filter((label) => label === c)).toHaveLength(4)
    await expect(drain({ ...small, labelled: 250, runDir: join(root, 'bad') })).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
    })
  })
})
