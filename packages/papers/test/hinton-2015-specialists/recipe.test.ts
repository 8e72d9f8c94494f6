import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digits } from '@imago/data'
import { predictor } from '@imago/runtime'
import { combineSpecialists } from '@imago/specialists'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { omniglotTask, withViews } from '../../src/hinton-2015-specialists/task.js'
import { hinton2015Specialists, type SpecialistsOptions, type SpecialistsTableResult } from '../../src/index.js'
import { labelsOf } from '../../src/of-classes.js'
import { predictRows } from '../../src/predict-rows.js'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-specialists-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

const drawn = digits({ seed: 4, train: 600, test: 300 })
const emnist = { ...drawn, names: [...'0123456789'] }
const omniglot = {
  images: drawn.train,
  drawers: Uint8Array.from({ length: 600 }, (_, row) => row % 20),
  alphabets: Uint8Array.of(0, 0, 0, 0, 1, 1, 1, 1, 1, 1),
  names: ['Low', 'High'],
}
const task = {
  hidden: [12],
  dropout: 0.1,
  epochs: 3,
  rate: 5e-3,
  batch: 100,
  count: 2,
  size: 4,
  columns: 'covariance',
  specialistEpochs: 2,
  furtherRate: 2e-3,
  temperature: 2,
  experts: 2,
} as const
const small = { emnist, seeds: [1, 2], topN: [1, 2], tasks: { emnist: task, omniglot: task }, threads: 1 } as const

async function drain(options: SpecialistsOptions): Promise<{ jobs: string[]; result: SpecialistsTableResult }> {
  const jobs: string[] = []
  const run = hinton2015Specialists(options)
  for (;;) {
    const { value, done } = await run.next()
    if (done) return { jobs, result: value }
    if (value.kind === 'job' && value.state !== 'begins') jobs.push(`${value.job} ${value.state}`)
  }
}

describe('specialists, whole', () => {
  it('gives the tables, as counted again from the files that it left', async () => {
    const runDir = join(root, 'run')
    const { result } = await drain({ ...small, runDir })
    {
      const { rows } = result
      expect(rows.map(({ system }) => system)).toEqual([
        'generalist',
        'dustbin, n = 1',
        'dustbin, n = 2',
        'full, n = 1',
        'full, n = 2',
        'trained on at 0.002',
        'trained on at 0.0005',
        'ensemble of two nets',
        'mixture of experts',
        'distilled back',
      ])
      const chosen = rows.filter((row) => row.chosen)
      expect(chosen).toHaveLength(1)
      const combined = rows.filter(({ system }) => system.includes('n ='))
      expect(chosen[0]!.heldOutConditional).toBe(Math.max(...combined.map((row) => row.heldOutConditional)))
      // Nothing is compared with itself: of the two that were trained on, the better one on held-out rows.
      expect(rows.filter(({ overallGain }) => overallGain === undefined)).toHaveLength(1)
      const base = rows[0]!
      const { conditional, overall } = chosen[0]!.aboveGeneralist!
      expect(conditional.mean).toBeCloseTo(chosen[0]!.conditional - base.conditional, 9)
      expect(overall.mean).toBeCloseTo(chosen[0]!.overall - base.overall, 9)
      for (const { overallGain } of rows)
        if (overallGain) expect(overallGain.low <= overallGain.mean && overallGain.mean <= overallGain.high).toBe(true)
      expect(result.curves.map(({ head, points }) => [head, points.length])).toEqual([
        ['dustbin', 2],
        ['full', 2],
      ])
    }

    // What the table says of one seed is in its files; both seeds together, here, by another way.
    const of = async (seed: number, file: string): ReturnType<typeof predictor> =>
      predictor(join(runDir, `emnist-${seed}-${file}`), { threads: 1 })
    const labels = labelsOf(drawn.test)
    let [hits, asked, right] = [0, 0, 0]
    for (const seed of [1, 2]) {
      const { result: found } = JSON.parse(
        await readFile(join(runDir, `emnist-${seed}-sets`, 'result.json'), 'utf8'),
      ) as {
        result: { sets: { name: string; classes: number[] }[] }
      }
      const generalist = await of(seed, 'generalist/model.onnx')
      const experts = []
      for (const set of found.sets)
        experts.push({ set, predict: await of(seed, `dustbin-${set.name}/specialist.onnx`), head: 'dustbin' as const })
      const { logits } = await predictRows(combineSpecialists({ generalist, experts, topN: 2 }), drawn.test)
      labels.forEach((label, row) => {
        const scores = [...logits.subarray(10 * row, 10 * row + 10)]
        if (scores.indexOf(Math.max(...scores)) === label) right++
        for (const { classes } of found.sets) {
          if (!classes.includes(label)) continue
          asked++
          const own = classes.map((c) => scores[c]!)
          if (classes[own.indexOf(Math.max(...own))] === label) hits++
        }
      })
      for (const { predict } of [{ predict: generalist }, ...experts]) await predict.dispose()
    }
    const row = result.rows.find(({ system }) => system === 'dustbin, n = 2')!
    expect(row.overall).toBeCloseTo((100 * right) / (2 * labels.length), 9)
    expect(row.conditional).toBeCloseTo((100 * hits) / asked, 9)

    const total = result.covering.reduce((sum, one) => sum + one.rows, 0)
    expect(total).toBe(2 * labels.length)

    const again = await drain({ ...small, runDir })
    expect(again.jobs.every((job) => job.endsWith(' found'))).toBe(true)
    expect(again.result).toEqual(result)
  })

  it('splits Omniglot by who drew, each hand in one part alone', () => {
    const { train, heldOut, test, names } = omniglotTask(omniglot)
    const hands = [train, heldOut, test].map(
      (part) => new Set(part.rows(Uint32Array.from({ length: part.length }, (_, i) => i)).ids.map((id) => id % 20)),
    )
    expect(hands.map(({ size }) => size)).toEqual([14, 2, 4])
    expect(new Set(hands.flatMap((people) => [...people])).size).toBe(20)
    expect(names.slice(3, 6)).toEqual(['Low 4', 'High 1', 'High 2'])
  })

  it('has each view once for each drawing, all of them moved, and the same each time', () => {
    const plain = omniglotTask(omniglot)
    const moves = { count: 3, turn: 10, scale: 0.1, shear: 0.1, shift: 2 }
    const [once, again] = [withViews(plain, moves).train, withViews(plain, moves).train]
    expect(once.length).toBe(3 * plain.train.length)
    const rows = Uint32Array.of(5, 5 + plain.train.length, 5 + 2 * plain.train.length)
    const [seen, same] = [once.rows(rows), again.rows(rows)]
    const [first] = plain.train.rows(Uint32Array.of(5)).labels!
    expect([...seen.labels!]).toEqual([first, first, first])
    expect(seen.inputs.input!.data).toEqual(same.inputs.input!.data)
    const images = [0, 1, 2].map((i) => (seen.inputs.input!.data as Float32Array).slice(784 * i, 784 * (i + 1)).join())
    expect(new Set(images).size).toBe(3)
    expect(withViews(plain, moves).heldOut).toBe(plain.heldOut)
  })

  it('refuses to go without data or seeds', async () => {
    const runDir = join(root, 'no')
    await expect(drain({ runDir })).rejects.toThrow(/emnist/)
    await expect(drain({ ...small, runDir, seeds: [] })).rejects.toThrow(/seeds/)
    await expect(drain({ ...small, runDir, topN: [] })).rejects.toThrow(/topN/)
  })
})
