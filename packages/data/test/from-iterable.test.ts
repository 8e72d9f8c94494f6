import { rng, tensor } from '@imago/tensor'
import { expect, test } from 'vitest'
import { type Batch, batches, dataset, fromIterable } from '../src/index.js'

const set = dataset({ inputs: { x: tensor('float32', [7], Float32Array.of(0, 1, 2, 3, 4, 5, 6)) } })
const inner = batches(set, { size: 3, rng: rng(2) })
const collect = async (source: AsyncIterable<Batch>): Promise<number[][]> => {
  const out: number[][] = []
  for await (const batch of source) out.push([...batch.ids])
  return out
}

test('a function of the epoch is as good as batches of ours', async () => {
  const source = fromIterable((epoch) => inner.epoch(epoch), { length: 3, rows: 7 })
  for (const epoch of [0, 1])
    for (const from of [0, 1, 2, 3])
      expect(await collect(source.epoch(epoch, from))).toEqual(await collect(inner.epoch(epoch, from)))
  expect([source.length, source.rows, source.augmented]).toEqual([3, 7, true])
})

test('an array can be walked again, a longer source is cut and closed', async () => {
  const list = [set.rows(Uint32Array.of(0)), set.rows(Uint32Array.of(1))]
  const source = fromIterable(list, { length: 2, rows: 2, augmented: false })
  expect(await collect(source.epoch(0))).toEqual([[0], [1]])
  expect(await collect(source.epoch(1))).toEqual([[0], [1]])
  let closed = false
  async function* endless(): AsyncGenerator<Batch> {
    try {
      for (;;) yield list[0]!
    } finally {
      closed = true
    }
  }
  expect(await collect(fromIterable(endless, { length: 2, rows: 2 }).epoch(0))).toEqual([[0], [0]])
  expect(closed).toBe(true)
})

test('a generator is walked once, a source that ends early is told', async () => {
  async function* short(): AsyncGenerator<Batch> {
    yield set.rows(Uint32Array.of(0))
  }
  const once = fromIterable(short(), { length: 1, rows: 1 })
  expect(await collect(once.epoch(0))).toEqual([[0]])
  await expect(collect(once.epoch(1))).rejects.toThrow(/second walk of a generator/)
  await expect(collect(fromIterable(short, { length: 2, rows: 2 }).epoch(3))).rejects.toThrow(
    /epoch 3 ended after 1 of 2 batches/,
  )
})

test.each([
  { length: 0, rows: 1 },
  { length: 1, rows: 0.5 },
])('%o is refused', (options) => {
  expect(() => fromIterable([], options)).toThrow(/whole number/)
})
