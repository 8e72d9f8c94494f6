import { rng, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Batch, type Dataset, dataset, mixedBatches, unlabelled } from '../src/index.js'
import { apportion } from '../src/mixed-batches.js'

const rows = (length: number, from: number): Dataset =>
  dataset({
    inputs: {
      x: tensor(
        'float32',
        [length, 1],
        Float32Array.from({ length }, (_, i) => from + i),
      ),
    },
    labels: Int32Array.from({ length }, (_, i) => i % 3),
  })

async function epochOf(
  walk: AsyncIterable<Batch>,
): Promise<{ ids: number[]; labels: number[]; sizes: number[]; x: number[] }> {
  const out = { ids: [] as number[], labels: [] as number[], sizes: [] as number[], x: [] as number[] }
  for await (const { ids, labels, inputs } of walk) {
    out.ids.push(...ids)
    out.labels.push(...labels!)
    out.x.push(...(inputs.x!.data as Float32Array))
    out.sizes.push(ids.length)
  }
  return out
}

describe('mixedBatches', () => {
  test('an epoch has the shares that the weights say, each row of a source as often as the others but for one', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({ length: fc.integer({ min: 1, max: 30 }), weight: fc.double({ min: 0.01, max: 9, noNaN: true }) }),
          {
            minLength: 1,
            maxLength: 4,
          },
        ),
        fc.integer({ min: 1, max: 80 }),
        fc.integer({ min: 1, max: 20 }),
        fc.nat(),
        async (list, total, size, seed) => {
          const parts = list.map(({ length, weight }, k) => ({ source: rows(length, 1000 * k), weight }))
          const mixed = mixedBatches(parts, { size, rows: total, rng: rng(seed) })
          const { ids, x, sizes } = await epochOf(mixed.epoch(0))
          expect(sizes).toEqual(Array.from({ length: mixed.length }, (_, b) => Math.min(size, total - b * size)))
          const shares = apportion(
            total,
            list.map(({ weight }) => weight),
          )
          let start = 0
          for (const [k, { length }] of list.entries()) {
            const own = ids.filter((id) => id >= start && id < start + length)
            expect(own).toHaveLength(shares[k]!)
            const counts = Array.from({ length }, (_, i) => own.filter((id) => id === start + i).length)
            expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
            for (const [at, id] of ids.entries())
              if (id >= start && id < start + length) expect(x[at]).toBe(1000 * k + id - start)
            start += length
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  test('rounding is within one row of the exact share', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 1000 }),
        fc.array(fc.double({ min: 1e-3, max: 10, noNaN: true }), { minLength: 1, maxLength: 6 }),
        (total, weights) => {
          const counts = apportion(total, weights)
          const sum = weights.reduce((a, b) => a + b)
          expect(counts.reduce((a, b) => a + b)).toBe(total)
          for (const [i, count] of counts.entries())
            expect(Math.abs(count - (total * weights[i]!) / sum)).toBeLessThan(1 + 1e-9)
        },
      ),
    )
  })

  test('labelled and unlabelled rows in one epoch', async () => {
    const parts = [
      { source: rows(10, 0), weight: 1 },
      { source: unlabelled(rows(40, 100)), weight: 3 },
    ]
    const { ids, labels } = await epochOf(mixedBatches(parts, { size: 8, rows: 40, rng: rng(1) }).epoch(2))
    expect(ids.filter((id) => id < 10)).toHaveLength(10)
    for (const [i, id] of ids.entries()) expect(labels[i]).toBe(id < 10 ? id % 3 : -1)
  })

  test('an epoch entered at a batch goes on as the walked one; epochs differ', async () => {
    const mixed = mixedBatches(
      [
        { source: rows(30, 0), weight: 1 },
        { source: rows(7, 50), weight: 2 },
      ],
      { size: 5, rng: rng(4) },
    )
    const whole = await epochOf(mixed.epoch(1))
    const rest = await epochOf(mixed.epoch(1, 3))
    expect(rest.ids).toEqual(whole.ids.slice(15))
    expect((await epochOf(mixed.epoch(2))).ids).not.toEqual(whole.ids)
    expect(mixed.rows).toBe(37)
  })

  test.each([
    [[], { size: 1 }, /parts/],
    [[{ source: rows(2, 0), weight: 0 }], { size: 1 }, /parts\[0\]\.weight/],
    [[{ source: rows(2, 0), weight: Number.NaN }], { size: 1 }, /weight/],
    [[{ source: rows(2, 0), weight: 1 }], { size: 0 }, /size/],
    [[{ source: rows(2, 0), weight: 1 }], { size: 1, rows: 0 }, /rows/],
  ])('case %#: refused', (parts, options, message) => {
    expect(() => mixedBatches(parts, { ...options, rng: rng(1) })).toThrow(message)
  })
})
