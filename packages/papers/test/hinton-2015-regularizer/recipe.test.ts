import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { batches, digits } from '@imago/data'
import { predictor } from '@imago/runtime'
import { evaluate } from '@imago/trainer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hinton2015Regularizer, type RegularizerOptions, type RegularizerResult } from '../../src/index.js'
import { tinyDigits } from '../speech/tiny-digits.js'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-regularizer-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const images = digits({ seed: 3, train: 2400, test: 400 })
const small = {
  images,
  digits: tinyDigits({ speakers: ['ann', 'bob'], takes: 10 }),
  share: 0.1,
  temperatures: [2, 5],
  seeds: [1],
  epochs: 6,
  fewEpochs: 30,
  rate: 3e-3,
  hidden: { fsdd: [32], mnist: [64] },
  threads: 1,
} as const

async function drain(options: RegularizerOptions): Promise<{ jobs: string[]; result: RegularizerResult }> {
  const jobs: string[] = []
  const run = hinton2015Regularizer(options)
  for (;;) {
    const { value, done } = await run.next()
    if (done) return { jobs, result: value }
    if (value.kind === 'job' && value.state !== 'begins') jobs.push(`${value.job} ${value.state}`)
  }
}

describe('soft targets as regularizers', () => {
  it('gives table 5 of both data sets; on images, soft targets of few rows beat their labels', async () => {
    const runDir = join(root, 'run')
    const { result } = await drain({ ...small, runDir })
    for (const set of ['fsdd', 'mnist']) {
      const rows = result.rows.filter((row) => row.set === set)
      expect(rows.map(({ name, temperature }) => [name, temperature])).toEqual([
        ['hard, all', undefined],
        ['hard, few', undefined],
        ['soft, few', 2],
        ['soft, few', 5],
      ])
      expect(rows.filter(({ chosen }) => chosen)).toHaveLength(1)
      expect(rows[0]!.expected).toEqual({ train: 63.4, test: 58.9 })
      expect(rows[1]!.testAccuracy).toBeLessThan(rows[0]!.testAccuracy)
    }
    const [all, hard, ...soft] = result.rows.filter(({ set }) => set === 'mnist')
    // One row in twelve is held out, and a tenth of the others are the few.
    expect([all!.rows, hard!.rows]).toEqual([2200, 220])
    const chosen = soft.find((row) => row.chosen)!
    expect(chosen.testAccuracy).toBeGreaterThan(hard!.testAccuracy)
    expect(chosen.recovered).toBeCloseTo(
      (chosen.testAccuracy - hard!.testAccuracy) / (all!.testAccuracy - hard!.testAccuracy),
      9,
    )

    // The rows are those of the files.
    const data = batches(images.test, { size: 100, shuffle: false })
    for (const [file, accuracy] of [
      ['model.onnx', hard!.testAccuracy],
      ['last.onnx', hard!.lastTestAccuracy],
    ] as const) {
      const predict = await predictor(join(runDir, 'mnist-few-hard-1', file), { threads: 1 })
      expect(accuracy).toBeCloseTo(100 * (1 - (await evaluate({ predict, data })).errorRate), 9)
      await predict.dispose()
    }

    const again = await drain({ ...small, runDir })
    expect(again.jobs).toHaveLength(8)
    expect(again.jobs.every((job) => job.endsWith(' found'))).toBe(true)
    expect(again.result).toEqual(result)
  })

  it('refuses to go without data, seeds or a share', async () => {
    const runDir = join(root, 'no')
    await expect(drain({ runDir })).rejects.toThrow(/digits/)
    await expect(drain({ ...small, runDir, seeds: [] })).rejects.toThrow(/seeds/)
    await expect(drain({ ...small, runDir, share: 1 })).rejects.toThrow(/share/)
  })
})
