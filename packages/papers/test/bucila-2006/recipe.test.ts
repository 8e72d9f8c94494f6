import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/bucila-2006/options.js'
import { problemNames, readProblem } from '../../src/bucila-2006/problems.js'
import { type Bucila2006Result, bucila2006 } from '../../src/index.js'

const dataDir = process.env.IMAGO_DATA_DIR
const there = dataDir !== undefined && existsSync(join(dataDir, 'data/letter'))
if (!there) console.log('skipped: IMAGO_DATA_DIR has no data/letter')

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-bucila-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

describe.skipIf(!there)('bucila-2006', () => {
  // Of the published sets: rows, columns, and the share of the positive class within five standard errors.
  it.each([
    ['adult', 14, 0.2408],
    ['covtype', 12, 45328 / 92962],
    ['letter.p1', 16, 753 / 20000],
    ['letter.p2', 16, 0.497],
  ] as const)('%s: the rows that it says it has, none in two parts', async (name, columns, share) => {
    const sizes = { train: 4000, holdOut: 1000, test: 3000 }
    const problem = await readProblem(name, dataDir!, sizes)
    for (const part of ['train', 'holdOut', 'test'] as const) {
      expect(problem[part].length).toBe(sizes[part])
      expect(problem[part].schema.columns).toHaveLength(columns + 1)
      const positives = problem[part].columns.at(-1)!.filter((code: number) => code === 1).length / sizes[part]
      expect(Math.abs(positives - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / sizes[part]))
    }
    expect(await readProblem(name, dataDir!, sizes)).toEqual(problem)
  })

  it('runs, a little of everything; a second run finds all of it', async () => {
    const tiny: Partial<Settings> = {
      rows: { train: 400, holdOut: 200, test: 500 },
      batch: 20,
      memberEpochs: 40,
      labelEpochs: [5, 40],
      rounds: 4,
      bags: 3,
    }
    const options = {
      ...tiny,
      dataDir: dataDir!,
      runDir: join(root, 'run'),
      problems: ['letter.p2' as const],
      members: 4,
      points: [600, 1500],
      hidden: 24,
      steps: 600,
      probabilities: [0.2, 0.5],
      mimicRates: [3e-3, 1e-5],
      threads: 1,
      clock: () => performance.now(),
    }
    const drain = async (): Promise<{ states: string[]; result: Bucila2006Result }> => {
      const states: string[] = []
      const run = bucila2006(options)
      for (;;) {
        const { value, done } = await run.next()
        if (done) return { states, result: value }
        if (value.kind === 'job' && value.state !== 'begins') states.push(value.state)
      }
    }
    const { states, result } = await drain()
    expect(states).toEqual([
      ...new Array(4 + 2 + 1 + 8).fill('done'),
      ...new Array(4 + 2 + 1 + 8).fill('found'),
      'done',
      'done',
      'done',
    ])
    const [problem] = result.problems
    expect(problem!.mimics.map(({ how, points }) => `${how} ${points}`)).toEqual(
      ['munge', 'random', 'nbe'].flatMap((how) => [`${how} 600`, `${how} 1500`]),
    )
    // A rate that hardly moves the net is never the better one, and it is the rows held out that say so.
    expect(new Set(problem!.mimics.map(({ making }) => making.rate))).toEqual(new Set([3e-3]))
    expect(problem!.mimics.map(({ making }) => making.probability !== undefined)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ])
    // Whoever says one half for every row has 0.5.
    for (const { rmse } of [problem!.best, problem!.ensemble, problem!.labels, problem!.mimics[1]!.test])
      expect(rmse).toBeLessThan(0.46)
    expect(problem!.speed!.ensemble).toBeGreaterThan(0)
    const again = await drain()
    expect(new Set(again.states)).toEqual(new Set(['found']))
    const { speed: _, ...same } = again.result.problems[0]!
    expect(problem).toMatchObject(same)
  })

  it('a folder without the data is told by the name of the file', async () => {
    const run = bucila2006({ dataDir: root, runDir: join(root, 'other'), problems: ['adult'] })
    await expect(run.next()).rejects.toThrow(/adult\.data\.gz/)
  })
})

it.each([
  [{ problems: ['medis' as 'adult'] }, /problems/],
  [{ problems: [] }, /problems/],
  [{ members: 1 }, /members/],
  [{ points: [] }, /points/],
  [{ points: [2, 1] }, /points/],
  [{ probabilities: [1.5] }, /probabilities/],
  [{ mimicRates: [] }, /mimicRates/],
])('%j is refused', async (options, message) => {
  await expect(bucila2006({ dataDir: '', runDir: '', ...options }).next()).rejects.toThrow(message)
})

it('there are four problems', () => {
  expect(problemNames).toHaveLength(4)
})
