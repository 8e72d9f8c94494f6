import { rng } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { logLikelihood, naiveBayesMixture, randomTable, readCsv, sampleMixture, table } from '../../src/index.js'
import { correlation, mean, mixedTables, numbers, variance } from './tables.js'

describe('randomTable', () => {
  test('every value is one of its column, as often as there', () => {
    fc.assert(
      fc.property(mixedTables, fc.nat(), (source, seed) => {
        const rows = 2000
        const made = randomTable(source, { rows, rng: rng(seed) })
        for (const [c, cells] of source.columns.entries()) {
          for (const value of new Set(cells)) {
            const share = (list: ArrayLike<number>): number =>
              Array.from(list).filter((x) => Object.is(x, value)).length / list.length
            const p = share(cells)
            expect(Math.abs(share(made.columns[c]!) - p)).toBeLessThanOrEqual(
              6 * Math.sqrt((p * (1 - p)) / rows) + 1e-12,
            )
          }
          const known = new Set(cells)
          expect(made.columns[c]!.every((value: number) => known.has(value))).toBe(true)
        }
      }),
      { numRuns: 20 },
    )
  })

  test('what hung together does so no more', () => {
    const x = Array.from({ length: 100 }, (_, i) => i)
    const made = randomTable(numbers(x, x), { rows: 10_000, rng: rng(1) })
    expect(Math.abs(correlation(made.columns[0]!, made.columns[1]!))).toBeLessThan(5 / 100)
  })

  test('no rows are refused', () => {
    expect(() => randomTable(numbers([1]), { rows: 0, rng: rng(1) })).toThrow(/rows/)
    expect(() => randomTable(numbers([]), { rows: 1, rng: rng(1) })).toThrow(/at least one row/)
  })
})

describe('naiveBayesMixture', () => {
  test('one component is the means, deviations and frequencies of the table', () => {
    fc.assert(
      fc.property(mixedTables, (source) => {
        const { attributes, weights } = naiveBayesMixture(source, { components: 1, rng: rng(1) })
        expect(weights).toEqual(Float64Array.of(1))
        for (const [c, attribute] of attributes.entries()) {
          const cells = source.columns[c]!
          if (attribute.kind === 'continuous') {
            const known = Array.from(cells).filter((x) => !Number.isNaN(x))
            if (known.length === 0) continue
            expect(attribute.mean[0]).toBeCloseTo(mean(known), 8)
            expect(attribute.deviation[0]! ** 2).toBeCloseTo(Math.max(variance(known), 1e-18), 6)
            expect(attribute.missing[0]).toBeCloseTo(1 - known.length / cells.length, 10)
          } else {
            const possible = cells.includes(-1) ? 5 : 4
            for (const code of [0, 1, 2, 3]) {
              const count = Array.from(cells).filter((x) => x === code).length
              expect(attribute.probability[code]).toBeCloseTo((count + 1 / possible) / (cells.length + 1), 10)
            }
            expect(attribute.probability.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 10)
          }
        }
      }),
      { numRuns: 30 },
    )
  })

  test('the likelihood is that of the normal density', () => {
    const source = numbers([1, 2, 4, 9])
    const mixture = naiveBayesMixture(source, { components: 1, rng: rng(1) })
    // With the ML deviation: −½·ln(2πσ²) − ½.
    expect(logLikelihood(mixture, source)).toBeCloseTo(-0.5 * Math.log(2 * Math.PI * variance([1, 2, 4, 9])) - 0.5, 10)
  })

  test('EM never loses likelihood', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 2, max: 6 }), (seed, components) => {
        const random = rng(seed)
        const column = (): number[] => Array.from({ length: 200 }, () => random.normal() + 4 * random.integer(3))
        const { history } = naiveBayesMixture(numbers(column(), column()), { components, rng: random })
        for (let i = 1; i < history.length; i++) expect(history[i]!).toBeGreaterThan(history[i - 1]! - 1e-6)
      }),
      { numRuns: 20 },
    )
  })

  const clusters = (): ReturnType<typeof table> => {
    const random = rng(8)
    const which = Int32Array.from({ length: 900 }, (_, i) => (i % 3 === 0 ? 1 : 0))
    return table(
      {
        columns: [
          { name: 'x', kind: 'continuous' },
          { name: 'y', kind: 'continuous' },
          { name: 'word', kind: 'nominal', values: ['a', 'b'] },
        ],
        missing: [],
      },
      [
        Float64Array.from(which, (k) => 10 * k + random.normal()),
        Float64Array.from(which, (k) => -20 * k + 2 * random.normal()),
        which,
      ],
    )
  }

  test('finds two clusters, their shares and centres, and chooses no fewer by itself', () => {
    const { weights, attributes } = naiveBayesMixture(clusters(), { components: 2, rng: rng(2) })
    const large = weights[0]! > weights[1]! ? 0 : 1
    expect(weights[large]).toBeCloseTo(2 / 3, 2)
    const [x, y, word] = attributes as never as [
      { mean: Float64Array },
      { mean: Float64Array },
      { probability: Float64Array },
    ]
    expect(Math.abs(x.mean[large]!)).toBeLessThan(0.3)
    expect(Math.abs(x.mean[1 - large]! - 10)).toBeLessThan(0.3)
    expect(Math.abs(y.mean[1 - large]! + 20)).toBeLessThan(0.7)
    expect(word.probability[large * 3]).toBeGreaterThan(0.99)
    expect(naiveBayesMixture(clusters(), { rng: rng(2) }).weights.length).toBeGreaterThanOrEqual(2)
  })

  test('samples have the moments of the mixture, and hang together as it does', () => {
    const source = clusters()
    const mixture = naiveBayesMixture(source, { components: 2, rng: rng(2) })
    const made = sampleMixture(mixture, source, { rows: 20_000, rng: rng(3) })
    for (const c of [0, 1]) {
      const spread = variance(source.columns[c]!)
      expect(Math.abs(mean(made.columns[c]!) - mean(source.columns[c]!))).toBeLessThan(5 * Math.sqrt(spread / 20_000))
      expect(Math.abs(variance(made.columns[c]!) / spread - 1)).toBeLessThan(0.03)
    }
    expect(correlation(made.columns[0]!, made.columns[1]!)).toBeCloseTo(
      correlation(source.columns[0]!, source.columns[1]!),
      1,
    )
    expect(mean(made.columns[2]!)).toBeCloseTo(1 / 3, 1)
  })

  test('missing values are drawn as often as they were', async () => {
    const text = `x,w\n${Array.from({ length: 100 }, (_, i) => (i % 4 === 0 ? '?,?' : `${i},a`)).join('\n')}\n`
    const source = await readCsv(new TextEncoder().encode(text))
    const made = sampleMixture(naiveBayesMixture(source, { components: 1, rng: rng(1) }), source, {
      rows: 4000,
      rng: rng(2),
    })
    for (const c of [0, 1]) {
      const missing = made.columns[c]!.filter((x: number) => Number.isNaN(x) || x === -1).length / 4000
      expect(Math.abs(missing - 0.25)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / 4000) + 0.01)
    }
  })

  test.each([{ components: 0 }, { iterations: 0 }])('%j is refused', (options) => {
    expect(() => naiveBayesMixture(numbers([1, 2]), { ...options, rng: rng(1) })).toThrow(/whole number/)
  })
})
