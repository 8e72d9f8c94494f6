import { type Rng, rng, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Augment, type Batch, batches, dataset } from '../src/index.js'

const counting = (rows: number) =>
  dataset({
    inputs: {
      x: tensor(
        'float32',
        [rows, 2],
        Float32Array.from({ length: rows * 2 }, (_, i) => i),
      ),
    },
    labels: Int32Array.from({ length: rows }, (_, i) => i % 3),
  })
const collect = async (source: AsyncIterable<Batch>): Promise<Batch[]> => {
  const out: Batch[] = []
  for await (const batch of source) out.push(batch)
  return out
}
/** Adds one uniform number to every element: any change of its generator shows. */
const shake: Augment = (batch: Batch, random: Rng) => {
  const x = batch.inputs.x!
  const data = Float32Array.from(x.data as Float32Array, (value) => value + random.uniform())
  return { ...batch, inputs: tensorMap([['x', tensor('float32', x.dims, data)]]) }
}

describe('an epoch', () => {
  test('has every row once, with its own inputs and label, the last batch smaller', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 45 }),
        fc.nat(3),
        async (rows, size, e) => {
          const source = batches(counting(rows), { size, rng: rng(5) })
          const all = await collect(source.epoch(e))
          expect(all.length).toBe(source.length)
          expect(source.length).toBe(Math.ceil(rows / size))
          expect(source.rows).toBe(rows)
          const ids = all.flatMap((batch) => [...batch.ids])
          expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: rows }, (_, i) => i))
          for (const batch of all.slice(0, -1)) expect(batch.ids.length).toBe(size)
          for (const { ids, inputs, labels } of all) {
            expect(inputs.x!.data).toEqual(Float32Array.from([...ids].flatMap((id) => [2 * id, 2 * id + 1])))
            expect(labels).toEqual(Int32Array.from(ids, (id) => id % 3))
          }
        },
      ),
    )
  })

  test('may be entered at any batch and goes on bit by bit', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(),
        async (rows, size, at) => {
          const whole = await collect(batches(counting(rows), { size, rng: rng(9), augment: shake }).epoch(2))
          const from = at % (whole.length + 1)
          const tail = await collect(batches(counting(rows), { size, rng: rng(9), augment: shake }).epoch(2, from))
          expect(tail).toEqual(whole.slice(from))
        },
      ),
    )
  })

  test('differs from the next one, and is the same each time', async () => {
    const source = batches(counting(50), { size: 50, rng: rng(1) })
    const [first] = await collect(source.epoch(0))
    const [second] = await collect(source.epoch(1))
    const [again] = await collect(source.epoch(0))
    expect(second!.ids).not.toEqual(first!.ids)
    expect(again).toEqual(first)
  })

  test('does not move the generator that it was given', async () => {
    const random = rng(3)
    await collect(batches(counting(10), { size: 4, rng: random, augment: shake }).epoch(0))
    expect(random.state()).toEqual(rng(3).state())
  })
})

test('without a generator rows come in order', async () => {
  const all = await collect(batches(counting(5), { size: 2 }).epoch(7))
  expect(all.map((batch) => [...batch.ids])).toEqual([[0, 1], [2, 3], [4]])
})

test('drop leaves the smaller batch out, and out of the counts', async () => {
  const source = batches(counting(5), { size: 2, drop: true })
  expect([source.length, source.rows, source.augmented]).toEqual([2, 4, false])
  expect((await collect(source.epoch(0))).length).toBe(2)
})

test.each([
  [{ size: 0 }, /"size"/],
  [{ size: 2, shuffle: true }, /"rng"/],
  [{ size: 2, augment: shake }, /"rng"/],
  [{ size: 9, drop: true }, /at least 9 rows/],
])('%o is refused', (options, message) => {
  expect(() => batches(counting(5), options)).toThrow(message)
})

test('an epoch or a batch that is none is refused', async () => {
  const source = batches(counting(5), { size: 2 })
  await expect(collect(source.epoch(-1))).rejects.toThrow(/"epoch"/)
  await expect(collect(source.epoch(0, 4))).rejects.toThrow(/"from" must be a whole number in \[0, 3\]/)
})
