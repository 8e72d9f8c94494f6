import { rng } from '@imago/tensor'
import fc from 'fast-check'
import { type Table, table } from '../../src/index.js'

/** Tables of both kinds of columns, with missing values among both. */
export const mixedTables: fc.Arbitrary<Table> = fc
  .record({
    length: fc.integer({ min: 2, max: 40 }),
    continuous: fc.integer({ min: 0, max: 3 }),
    nominal: fc.integer({ min: 1, max: 3 }),
    missing: fc.boolean(),
    seed: fc.nat(),
  })
  .map(({ length, continuous, nominal, missing, seed }) => {
    const random = rng(seed)
    const lost = (): boolean => missing && random.integer(5) === 0
    return table(
      {
        columns: [
          ...Array.from({ length: continuous }, (_, i) => ({ name: `x${i}`, kind: 'continuous' as const })),
          ...Array.from({ length: nominal }, (_, i) => ({
            name: `n${i}`,
            kind: 'nominal' as const,
            values: ['a', 'b', 'c', 'd'],
          })),
        ],
        missing: [''],
      },
      [
        ...Array.from({ length: continuous }, () =>
          Float64Array.from({ length }, () => (lost() ? Number.NaN : random.normal() * 100)),
        ),
        ...Array.from({ length: nominal }, () => Int32Array.from({ length }, () => (lost() ? -1 : random.integer(4)))),
      ],
    )
  })

/** A table of continuous columns. */
export function numbers(...columns: readonly (readonly number[])[]): Table {
  return table(
    { columns: columns.map((_, i) => ({ name: `x${i}`, kind: 'continuous' })), missing: [''] },
    columns.map((column) => Float64Array.from(column)),
  )
}

export const mean = (x: ArrayLike<number>): number => Array.from(x).reduce((a, b) => a + b, 0) / x.length

export function variance(x: ArrayLike<number>): number {
  const m = mean(x)
  return Array.from(x).reduce((sum, value) => sum + (value - m) ** 2, 0) / x.length
}

export function correlation(x: ArrayLike<number>, y: ArrayLike<number>): number {
  const [mx, my] = [mean(x), mean(y)]
  const product = Array.from(x, (value, i) => (value - mx) * (y[i]! - my))
  return mean(product) / Math.sqrt(variance(x) * variance(y))
}
