import { rng } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { munge, mungeInPlace, mungePasses, table } from '../../src/index.js'
import { perturb } from '../../src/synth/munge.js'
import { correlation, mean, mixedTables, numbers, variance } from './tables.js'

const forms = { munge, mungeInPlace }
const sorted = (cells: ArrayLike<number>): number[] => Array.from(cells).sort((a, b) => a - b)

describe('perturb', () => {
  const [own, foreign, s, count] = [3, -5, 4, 40_000]
  const random = rng(7)
  const made = Array.from({ length: count }, () => {
    const cells = Float64Array.of(own, foreign)
    perturb([cells], 0, 1, 1, s, random)
    return cells
  })
  const first = made.map((cells) => cells[0]!)
  const second = made.map((cells) => cells[1]!)

  test('e is drawn from N(e′, |e − e′|/s) and e′ from N(e, |e − e′|/s), apart from each other', () => {
    const sd = Math.abs(own - foreign) / s
    // Five standard errors: of a mean sd/√n, of a deviation sd/√2n.
    const slack = (5 * sd) / Math.sqrt(count)
    for (const [values, centre] of [
      [first, foreign],
      [second, own],
    ] as const) {
      expect(Math.abs(mean(values) - centre)).toBeLessThan(slack)
      expect(Math.abs(Math.sqrt(variance(values)) - sd)).toBeLessThan(slack)
    }
    expect(Math.abs(correlation(first, second))).toBeLessThan(5 / Math.sqrt(count))
  })

  test('an attribute is changed with probability p, each by itself', () => {
    const [p, n] = [0.3, 20_000]
    const changed = Array.from({ length: n }, () => {
      const columns = [Float64Array.of(0, 1), Int32Array.of(0, 1)]
      perturb(columns, 0, 1, p, 5, random)
      return [columns[0]![0] === 0 ? 0 : 1, columns[1]![0]!]
    })
    for (const c of [0, 1])
      expect(Math.abs(mean(changed.map((row) => row[c]!)) - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / n))
    const [a, b] = [changed.map((row) => row[0]!), changed.map((row) => row[1]!)]
    expect(Math.abs(correlation(a, b))).toBeLessThan(5 / Math.sqrt(n))
  })
})

describe.each(Object.entries(forms))('%s', (_, form) => {
  test('words change places: each column keeps its multiset, missing ones among it; numbers keep their number', () => {
    fc.assert(
      fc.property(mixedTables, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(), (source, probability, seed) => {
        const made = form(source, { rows: source.length, probability, rng: rng(seed) })
        expect(made.length).toBe(source.length)
        for (const [c, cells] of source.columns.entries()) {
          const found = made.columns[c]!
          if (cells instanceof Int32Array) expect(sorted(found)).toEqual(sorted(cells))
          else expect(found.filter(Number.isNaN).length).toBe(cells.filter(Number.isNaN).length)
        }
      }),
      { numRuns: 50 },
    )
  })

  test('p = 0 gives the table again, as often as it is asked for; the source is never written to', () => {
    fc.assert(
      fc.property(mixedTables, fc.integer({ min: 1, max: 3 }), (source, passes) => {
        const before = source.columns.map((cells) => cells.slice())
        const made = form(source, { rows: passes * source.length, probability: 0, rng: rng(1) })
        form(source, { rows: source.length, probability: 1, rng: rng(1) })
        expect(source.columns).toEqual(before)
        for (const [c, cells] of source.columns.entries())
          expect([...made.columns[c]!]).toEqual(Array.from({ length: passes }, () => [...cells]).flat())
      }),
      { numRuns: 25 },
    )
  })

  test('two rows, p = 1: each is changed twice, and the variance is d²·(2/s² + 2/s⁴)', () => {
    const [a, b, s, passes] = [1, 4, 3, 20_000]
    const made = form(numbers([a, b]), { rows: 2 * passes, probability: 1, localVariance: s, rng: rng(5) })
    const expected = (b - a) ** 2 * (2 / s ** 2 + 2 / s ** 4)
    for (const [row, centre] of [a, b].entries()) {
      const values = Array.from({ length: passes }, (_, i) => made.columns[0]![2 * i + row]!)
      expect(Math.abs(mean(values) - centre)).toBeLessThan(5 * Math.sqrt(expected / passes))
      // The fourth moment of what is nearly normal: a relative error of √(2/n), and room for its tails.
      expect(Math.abs(variance(values) / expected - 1)).toBeLessThan(8 * Math.sqrt(2 / passes))
    }
  })

  test('the mean of a column stays, and so does what hangs together', () => {
    const random = rng(11)
    const x = Array.from({ length: 400 }, () => random.normal())
    const source = numbers(
      x,
      x.map((value) => 2 * value + 0.1 * random.normal()),
    )
    const made = form(source, { rows: 4000, probability: 0.5, localVariance: 5, rng: rng(2) })
    // What a pair gains and loses together has mean 0 and a deviation of √2·|e − e′|/s, far below the column's.
    expect(Math.abs(mean(made.columns[0]!) - mean(x))).toBeLessThan(0.02)
    expect(correlation(made.columns[0]!, made.columns[1]!)).toBeGreaterThan(0.9)
  })

  test('a seed is a table, and more rows begin with the same passes', () => {
    fc.assert(
      fc.property(mixedTables, fc.nat(), (source, seed) => {
        const short = form(source, { rows: source.length, rng: rng(seed) })
        const long = form(source, { rows: 2 * source.length + 1, rng: rng(seed) })
        expect(long.length).toBe(2 * source.length + 1)
        expect(long.columns.map((cells) => cells.slice(0, source.length))).toEqual(short.columns)
      }),
      { numRuns: 25 },
    )
  })

  test.each([
    [{ rows: 0 }, /rows/],
    [{ rows: 1.5 }, /rows/],
    [{ rows: 1, probability: 1.1 }, /probability/],
    [{ rows: 1, probability: Number.NaN }, /probability/],
    [{ rows: 1, localVariance: 0 }, /localVariance/],
  ])('%j is refused', (options, message) => {
    expect(() => form(numbers([1, 2]), { ...options, rng: rng(1) })).toThrow(message)
  })

  test('one row has no neighbour', () => {
    expect(() => form(numbers([1]), { rows: 1, rng: rng(1) })).toThrow(/at least two rows/)
  })
})

test('where the changes move nobody to another neighbour, both forms are the same to the last bit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(), (pairs, seed) => {
      const random = rng(seed)
      // Pairs a thousand of their own widths apart, with a word each that both share.
      const x = Array.from({ length: 2 * pairs }, (_, i) => 1000 * Math.floor(i / 2) + random.uniform())
      const y = x.map(() => random.normal())
      const source = table(
        {
          columns: [
            { name: 'x', kind: 'continuous' },
            { name: 'y', kind: 'continuous' },
            { name: 'word', kind: 'nominal', values: Array.from({ length: pairs }, (_, i) => `w${i}`) },
            { name: 'other', kind: 'nominal', values: ['a', 'b'] },
          ],
          missing: [],
        },
        [
          Float64Array.from(x),
          Float64Array.from(y, (value) => value * 1e-3 + 5),
          Int32Array.from(x, (_, i) => Math.floor(i / 2)),
          Int32Array.from(x, () => random.integer(2)),
        ].map((cells, c) => (c === 1 ? cells.map((value, i) => value + 10 * Math.floor(i / 2)) : cells)),
      )
      const options = { rows: 3 * source.length, probability: 0.4, localVariance: 50, rng: rng(seed + 1) }
      const fast = munge(source, options)
      const exact = mungeInPlace(source, options)
      for (const c of [0, 1, 2]) expect(fast.columns[c]).toEqual(exact.columns[c])
    }),
    { numRuns: 30 },
  )
})

test('neighbours of the table, or of the table as it changes: the moments of what comes out agree', () => {
  const random = rng(3)
  const x = Array.from({ length: 150 }, () => random.uniform())
  const source = numbers(
    x,
    x.map((value) => value ** 2 + 0.05 * random.normal()),
  )
  const options = { rows: 15_000, probability: 0.5, localVariance: 2, rng: rng(4) }
  const [fast, exact] = [munge(source, options), mungeInPlace(source, options)]
  for (const c of [0, 1]) {
    expect(Math.abs(mean(fast.columns[c]!) - mean(exact.columns[c]!))).toBeLessThan(0.005)
    expect(Math.abs(variance(fast.columns[c]!) / variance(exact.columns[c]!) - 1)).toBeLessThan(0.03)
  }
  expect(
    Math.abs(correlation(fast.columns[0]!, fast.columns[1]!) - correlation(exact.columns[0]!, exact.columns[1]!)),
  ).toBeLessThan(0.03)
})

test('passes come one by one, each of the table’s length but the last', () => {
  const lengths = [...mungePasses(numbers([1, 2, 3, 4]), { rows: 10, rng: rng(1) })].map(({ length }) => length)
  expect(lengths).toEqual([4, 4, 2])
})
