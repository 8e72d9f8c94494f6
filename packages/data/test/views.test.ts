import { rng, type Tensor, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { batches, dataset, jitterAugment, noise, subset, views } from '../src/index.js'

const data = dataset({
  inputs: {
    input: tensor(
      'float32',
      [10, 4],
      Float32Array.from({ length: 40 }, (_, i) => i),
    ),
  },
  labels: Int32Array.from({ length: 10 }, (_, i) => i % 3),
})
const options = { count: 4, augment: noise(0.5), rng: rng(3) }

const row = (value: Tensor, r: number): number[] => Array.from(value.data as Float32Array).slice(4 * r, 4 * r + 4)

test('a view is the same in every epoch, batch, order and part of the set', () => {
  const whole = views(data, options)
  expect([whole.length, whole.classes]).toEqual([40, 3])
  const all = whole.rows(Uint32Array.from({ length: 40 }, (_, i) => i))
  expect(new Set(all.ids).size).toBe(40)
  const byId = new Map(Array.from(all.ids, (id, r) => [id, r]))
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1 }),
      fc.array(fc.nat(), { minLength: 1, maxLength: 12 }),
      (kept, drawn) => {
        const part = views(subset(data, Uint32Array.from(kept)), options)
        const got = part.rows(Uint32Array.from(drawn, (i) => i % part.length))
        for (const [i, id] of got.ids.entries()) {
          const r = byId.get(id)!
          expect(row(got.inputs.input!, i)).toEqual(row(all.inputs.input!, r))
          expect(got.labels![i]).toBe(all.labels![r])
        }
      },
    ),
  )
})

test('views of a row differ from each other, and belong to it', () => {
  const whole = views(data, options)
  const all = whole.rows(Uint32Array.from({ length: 40 }, (_, i) => i))
  const seen = new Set(Array.from({ length: 40 }, (_, r) => row(all.inputs.input!, r).join()))
  expect(seen.size).toBe(40)
  for (let r = 0; r < 40; r++) {
    expect(Math.floor(all.ids[r]! / 4)).toBe(r % 10)
    for (const [i, x] of row(all.inputs.input!, r).entries()) expect(Math.abs(x - (4 * (r % 10) + i))).toBeLessThan(4)
  }
})

test('are no augmentation to batches: their targets may be kept', () => {
  expect(batches(views(data, options), { size: 5, rng: rng(1) }).augmented).toBe(false)
})

test('refuse a count that is none, and ids too large', () => {
  expect(() => views(data, { ...options, count: 0 })).toThrow(/count/)
  const far = { length: 1, rows: () => ({ ...data.rows(Uint32Array.of(0)), ids: Uint32Array.of(2 ** 31) }) }
  expect(() => views(far, { ...options, augment: jitterAugment(0) }).rows(Uint32Array.of(0))).toThrow(/ids below/)
})
