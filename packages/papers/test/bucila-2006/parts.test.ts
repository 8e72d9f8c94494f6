import { predictor } from '@imago/runtime'
import { rng, tensor } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { type LibraryNet, library } from '../../src/bucila-2006/library.js'
import { fitOf } from '../../src/bucila-2006/measure.js'
import { memberNet } from '../../src/bucila-2006/nets.js'
import { settingsOf } from '../../src/bucila-2006/options.js'
import { type ProblemResult, tabulate } from '../../src/bucila-2006/tabulate.js'

describe('library', () => {
  it('has nets of several kinds, few alike but for their seeds', () => {
    const nets = library(36, 80)
    const kinds = nets.map(({ seed: _, ...kind }) => JSON.stringify(kind))
    expect(new Set(kinds).size).toBeGreaterThanOrEqual(30)
    for (const key of ['hidden', 'activation', 'dropout', 'inputs', 'epochs'] as const)
      expect(new Set(nets.slice(0, 20).map((net) => String(net[key]))).size).toBeGreaterThanOrEqual(2)
    expect(library(20, 80)).toEqual(nets.slice(0, 20))
  })
})

describe('memberNet', () => {
  const net: LibraryNet = { hidden: [5], activation: 'Tanh', dropout: 0, inputs: 2 / 3, epochs: 1, seed: 1 }

  it('sees two thirds of the inputs, and the others not at all', async () => {
    const predict = await predictor(memberNet(net, 6, rng(3)), { threads: 1 })
    try {
      const base = Float32Array.of(0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
      const logits = async (row: Float32Array): Promise<number[]> => {
        const out = await predict({ input: tensor('float32', [1, 6], row) })
        return [...(out.logits!.data as Float32Array)]
      }
      const plain = await logits(base)
      const moves = await Promise.all(
        Array.from(base, async (_, i) => {
          const row = base.slice()
          row[i]! += 1
          return (await logits(row)).some((z, c) => z !== plain[c])
        }),
      )
      expect(moves.filter(Boolean)).toHaveLength(4)
    } finally {
      await predict.dispose()
    }
  })
})

describe('fitOf', () => {
  it('is the root of the mean squared error of the positive class, and its errors', () => {
    const p = [0.9, 0.2, 0.6, 0.5]
    const labels = Int32Array.of(1, 0, 0, 1)
    const logits = Float32Array.from(p.flatMap((x) => [Math.log(1 - x), Math.log(x)]))
    const { rmse, errors, rows } = fitOf({ logits, labels, classes: 2 })
    expect(rmse).toBeCloseTo(Math.sqrt((0.1 ** 2 + 0.2 ** 2 + 0.6 ** 2 + 0.5 ** 2) / 4), 6)
    expect([errors, rows]).toEqual([2, 4])
  })
})

describe('tabulate', () => {
  const fit = (rmse: number) => ({ rmse, errors: 1, rows: 10 })
  const sizes = { parameters: 1, bytes: 1 }
  const making = { rate: 1e-3 }
  const problem = (munge: number): ProblemResult => ({
    name: 'letter.p1',
    rows: { train: 1, holdOut: 1, test: 1 },
    positives: 0.5,
    best: fit(0.3),
    ensemble: { ...fit(0.2), nets: 2, ...sizes },
    labels: { ...fit(0.31), epochs: 1, ...sizes },
    mimics: [
      { how: 'munge', points: 10, making, test: fit(munge + 0.01) },
      { how: 'munge', points: 20, making, test: fit(munge) },
      { how: 'random', points: 20, making, test: fit(0.4) },
      { how: 'nbe', points: 20, making, test: fit(0.35) },
    ],
  })

  it('says of each claim whether it holds on average, and what was found', () => {
    const settings = settingsOf({ dataDir: '', runDir: '', points: [10, 20] })
    const { effects } = tabulate(settings, [problem(0.25), problem(0.33)])
    expect(effects.map(({ holds }) => holds)).toEqual([true, true, true, true, true, true])
    expect(effects[1]!.found).toMatch(/^0\.2900 \/ 0\.3100 on average; letter\.p1 0\.2500 \/ 0\.3100/)
    const worse = tabulate(settings, [problem(0.36)]).effects
    expect(worse.map(({ holds }) => holds)).toEqual([true, false, false, true, false, true])
  })
})
