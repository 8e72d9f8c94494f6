import { rng } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bootstrapInterval } from '../../src/hinton-2015-specialists/bootstrap.js'
import { countsOf, coverage, hitsOf } from '../../src/hinton-2015-specialists/hits.js'

describe('the interval of a difference', () => {
  it('of one seed is that of the normal distribution, where rows are many', () => {
    // 30 rows in a hundred gained, 10 lost: mean 0.2, variance 0.4 − 0.04 of a row.
    const rows = 4000
    const difference = Int8Array.from({ length: rows }, (_, row) => (row % 10 < 3 ? 1 : row % 10 === 3 ? -1 : 0))
    const asked = new Uint8Array(rows).fill(1)
    const { mean, low, high } = bootstrapInterval([{ difference, asked }], { rng: rng(1), resamples: 20_000 })
    const deviation = Math.sqrt(0.36 / rows)
    expect(mean).toBeCloseTo(0.2, 12)
    expect((mean - low) / deviation).toBeGreaterThan(1.88)
    expect((mean - low) / deviation).toBeLessThan(2.04)
    expect((high - mean) / deviation).toBeGreaterThan(1.88)
    expect((high - mean) / deviation).toBeLessThan(2.04)
  })

  it('is wider where seeds disagree, and holds 0 where one of three takes back what the others gain', () => {
    const asked = new Uint8Array(1000).fill(1)
    const gain = (value: number): { difference: Int8Array; asked: Uint8Array } => ({
      difference: new Int8Array(1000).fill(value),
      asked,
    })
    const { mean, low, high } = bootstrapInterval([gain(1), gain(1), gain(-2)], { rng: rng(2) })
    expect([mean, low, high]).toEqual([0, -2, 1])
    expect(bootstrapInterval([gain(1), gain(1)], { rng: rng(2) })).toEqual({ mean: 1, low: 1, high: 1 })
  })

  it('refuses seeds of different rows', () => {
    const of = (rows: number): { difference: Int8Array; asked: Uint8Array } => ({
      difference: new Int8Array(rows),
      asked: new Uint8Array(rows),
    })
    expect(() => bootstrapInterval([of(3), of(2)], { rng: rng(1) })).toThrow(/rows/)
    expect(() => bootstrapInterval([], { rng: rng(1) })).toThrow(/at least one/)
  })
})

it('hits are those of a search through all classes, and through the classes of each set', () => {
  const classes = 7
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.integer({ min: -50, max: 50 }), { minLength: classes, maxLength: classes }), {
        minLength: 1,
      }),
      fc.array(fc.uniqueArray(fc.integer({ min: 0, max: classes - 1 }), { minLength: 1, maxLength: 5 }), {
        maxLength: 4,
      }),
      fc.infiniteStream(fc.integer({ min: 0, max: classes - 1 })),
      (rows, lists, stream) => {
        // Different scores in each row, so that the best is one alone.
        const scores = rows.map((row) => row.map((score, c) => score + c / 100))
        const labels = Int32Array.from(rows, () => stream.next().value as number)
        const sets = lists.map((own, i) => ({ name: `${i}`, classes: own }))
        const logits = Float32Array.from(scores.flat())
        const { overall, within } = hitsOf({ logits, labels, classes }, sets)
        const wins = (row: number, among: readonly number[]): boolean =>
          among.every((c) => scores[row]![c]! <= scores[row]![labels[row]!]!)
        const all = Array.from({ length: classes }, (_, c) => c)
        expect([...countsOf(overall)]).toEqual(rows.map((_, row) => (wins(row, all) ? 1 : 0)))
        expect([...countsOf(within)]).toEqual(
          rows.map((_, row) => lists.filter((own) => own.includes(labels[row]!) && wins(row, own)).length),
        )
        expect([...countsOf(coverage(labels, sets, classes))]).toEqual(
          rows.map((_, row) => lists.filter((own) => own.includes(labels[row]!)).length),
        )
      },
    ),
  )
})
