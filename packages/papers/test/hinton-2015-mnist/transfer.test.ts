import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digits } from '@imago/data'
import { predictor } from '@imago/runtime'
import { ArgumentError } from '@imago/tensor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hinton2015MnistTransfer, type MnistTransferOptions, type MnistTransferResult } from '../../src/index.js'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-transfer-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** Drawn digits: a data set in which the effect is there in seconds. */
const data = digits({ seed: 5, train: 3000, test: 500 })
const small = {
  data,
  seeds: [1],
  epochs: 8,
  teacherEpochs: 10,
  temperature: 10,
  rates: [2e-3],
  hidden: { teacher: [200], student: [120] },
  threads: 1,
} as const

async function drain(options: MnistTransferOptions): Promise<{ jobs: string[]; result: MnistTransferResult }> {
  const jobs: string[] = []
  const run = hinton2015MnistTransfer(options)
  for (;;) {
    const { value, done } = await run.next()
    if (done) return { jobs, result: value }
    if (value.kind === 'job' && value.state !== 'begins') jobs.push(`${value.job} ${value.state}`)
  }
}

describe('digits that the student never saw', () => {
  it('are recognised once their bias is raised, and the rows are those of the files', async () => {
    const runDir = join(root, 'run')
    const { result } = await drain({ ...small, runDir, omit: [3], only: [8, 7, 8] })
    expect(result.rows.map(({ transfer, bias }) => `${transfer}, ${bias}`)).toEqual([
      'omit 3, as learned',
      'omit 3, best on the test set',
      'omit 3, by the prior',
      'only 7,8, as learned',
      'only 7,8, best on the test set',
      'only 7,8, by the prior',
    ])
    const [learned, best, prior, few, fewBest] = result.rows
    expect(learned!.expected).toEqual({ errors: 206, unseenErrors: 133, shift: 0 })
    expect(fewBest!.expected).toEqual({ errors: 1320, shift: 7.6 })
    expect(prior!.expected).toBeUndefined()
    expect(best!.errors).toBeLessThan(learned!.errors)
    expect(prior!.unseenErrors).toBeLessThan(learned!.unseenErrors)
    expect(fewBest!.errors).toBeLessThan(few!.errors)

    // Count again: through ONNX Runtime, with the shift added to the logits of threes.
    const predict = await predictor(join(runDir, 'omit-3-1', 'model.onnx'), { threads: 1 })
    const test = data.test.rows(Uint32Array.from({ length: 500 }, (_, i) => i))
    const logits = (await predict(test.inputs)).logits!.data as Float32Array
    for (const row of [learned!, best!, prior!]) {
      const wrong = [...test.labels!].filter((label, i) => {
        const z = [...logits.slice(10 * i, 10 * i + 10)].map((v, c) => (c === 3 ? v + row.shift : v))
        return z.indexOf(Math.max(...z)) !== label
      })
      expect(wrong.length).toBe(row.errors)
      expect(wrong.filter((label) => label === 3).length).toBe(row.unseenErrors)
    }
    await predict.dispose()

    // A second call reads what is there; further sets are added to it.
    const again = await drain({ ...small, runDir, omit: [3] })
    expect(again.jobs).toEqual(['teacher-1 found', 'omit-3-1 found'])
    expect(again.result.rows).toEqual(result.rows.slice(0, 3))
  })

  it('refuses sets that are empty, whole or of classes that are none', async () => {
    const runDir = join(root, 'none')
    const attempts = [{}, { omit: [] }, { omit: [10] }, { only: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] }]
    for (const sets of attempts) await expect(drain({ ...small, runDir, ...sets })).rejects.toThrow(ArgumentError)
  })
})
