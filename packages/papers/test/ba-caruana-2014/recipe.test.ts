import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { batches, digits } from '@imago/data'
import { ensemble, logitMean } from '@imago/ensembles'
import { predictor } from '@imago/runtime'
import { evaluate } from '@imago/trainer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BaCaruanaOptions, type BaCaruanaResult, baCaruana2014 } from '../../src/index.js'
import { tinyDigits } from '../speech/tiny-digits.js'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-shallow-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const images = digits({ seed: 4, train: 1800, test: 300 })
const small = {
  images,
  digits: tinyDigits({ speakers: ['ann', 'bob'], takes: 8 }),
  deep: { fsdd: [24, 24], mnist: [64, 64] },
  bottleneck: 12,
  hidden: 100,
  members: 2,
  temperatures: [1, 4],
  seeds: [1, 2],
  epochs: 3,
  studentEpochs: 4,
  rates: [3e-3, 1e-6],
  threads: 1,
} as const

async function drain(options: BaCaruanaOptions): Promise<{ jobs: string[]; result: BaCaruanaResult }> {
  const jobs: string[] = []
  const run = baCaruana2014(options)
  for (;;) {
    const { value, done } = await run.next()
    if (done) return { jobs, result: value }
    if (value.kind === 'job' && value.state !== 'begins') jobs.push(`${value.job} ${value.state}`)
  }
}

describe('shallow nets', () => {
  it('are taught in every way with the rate that held-out rows choose; the rows are those of the files', async () => {
    const runDir = join(root, 'run')
    const { result } = await drain({ ...small, runDir })
    for (const [set, inputs, classes] of [
      ['fsdd', 15 * 40, 10],
      ['mnist', 784, 10],
    ] as const) {
      const rows = result.rows.filter((row) => row.set === set)
      expect(rows.map(({ name, temperature, nets }) => [name, temperature, nets])).toEqual([
        ['deep on labels', undefined, 2],
        ['teacher', undefined, 1],
        ['shallow on labels', undefined, 2],
        ['shallow, logit regression', undefined, 2],
        ['shallow, soft targets', 1, 2],
        ['shallow, soft targets', 4, 2],
      ])
      // 10⁻⁶ does not get anywhere in a few steps.
      for (const { rate } of rows.slice(2)) expect(rate).toBe(3e-3)
      // V without biases, U and the output layer with them.
      expect(rows[2]!.parameters).toBe(inputs * 12 + (12 + 1) * 100 + (100 + 1) * classes)
      expect(rows.map(({ expected }) => expected)).toEqual([21.9, 18.5, 23.1, 21.6, undefined, undefined])
      const [, teacher, labels, mimic] = rows
      expect(labels!.closed).toBeUndefined()
      expect(mimic!.closed).toBeCloseTo(
        (labels!.testErrorRate - mimic!.testErrorRate) / (labels!.testErrorRate - teacher!.testErrorRate),
        9,
      )
    }
    const [deep, teacher] = result.rows.filter(({ set }) => set === 'mnist')
    const members = await Promise.all(
      [1, 2].map((seed) => predictor(join(runDir, `mnist-deep-${seed}`, 'model.onnx'), { threads: 1 })),
    )
    const data = batches(images.test, { size: 100, shuffle: false })
    const together = await evaluate({ predict: ensemble(members, logitMean()), data })
    expect(teacher!.testErrorRate).toBeCloseTo(100 * together.errorRate, 9)
    const alone = await Promise.all(members.map((predict) => evaluate({ predict, data })))
    expect(deep!.testErrorRate).toBeCloseTo(50 * (alone[0]!.errorRate + alone[1]!.errorRate), 9)
    for (const member of members) await member.dispose()

    const again = await drain({ ...small, runDir })
    expect(again.jobs.every((job) => job.endsWith(' found'))).toBe(true)
    expect(again.result).toEqual(result)
  })

  it('refuse to go without data, rates or members', async () => {
    const runDir = join(root, 'no')
    await expect(drain({ runDir })).rejects.toThrow(/digits/)
    await expect(drain({ ...small, runDir, rates: [] })).rejects.toThrow(/rates/)
    await expect(drain({ ...small, runDir, members: 0 })).rejects.toThrow(/members/)
  })
})
