import { rng, type Targets, type TensorMap, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Batch, batches, dataset, readAhead } from '../src/index.js'

const counting = (rows: number) =>
  dataset({
    inputs: {
      x: tensor(
        'float32',
        [rows, 1],
        Float32Array.from({ length: rows }, (_, i) => i),
      ),
    },
  })
/** Says of each row twice its only number, after a while. */
const doubled: Targets = async ({ ids, inputs }) => {
  await new Promise((done) => setImmediate(done))
  const x = inputs.x!.data as Float32Array
  return {
    twice: tensor(
      'float32',
      [ids.length],
      Float32Array.from(x, (value) => 2 * value),
    ),
  }
}
type Walked = { readonly batch: Batch; readonly given: TensorMap }
async function walk(data: ReturnType<typeof batches>, targets: Targets, epoch: number, from: number) {
  const out: Walked[] = []
  for await (const batch of data.epoch(epoch, from))
    out.push({ batch, given: await targets({ ids: batch.ids, inputs: batch.inputs }) })
  return out
}

describe('reading ahead', () => {
  test('gives the batches and the targets that there are without it, from any place on', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(2),
        fc.nat(30),
        async (rows, size, ahead, epoch, start) => {
          const data = batches(counting(rows), { size, rng: rng(3) })
          const from = Math.min(start, data.length)
          const read = readAhead({ data, targets: doubled, batches: ahead })
          expect(read.data).toMatchObject({ length: data.length, rows: data.rows, augmented: data.augmented })
          expect(await walk(read.data, read.targets, epoch, from)).toEqual(await walk(data, doubled, epoch, from))
        },
      ),
    )
  })

  test('asks for so many batches while one is worked on, one after another, and each once', async () => {
    const data = batches(counting(10), { size: 2, shuffle: false })
    const [began, ended]: [number[], number[]] = [[], []]
    const noted: Targets = async (query, signal) => {
      expect(began.length).toBe(ended.length)
      began.push(query.ids[0]!)
      const given = await doubled(query, signal)
      ended.push(query.ids[0]!)
      return given
    }
    const { data: ahead, targets } = readAhead({ data, targets: noted, batches: 2 })
    const seen: number[] = []
    for await (const { ids, inputs } of ahead.epoch(0)) {
      await targets({ ids, inputs })
      // A step: long enough for everything that was asked for.
      for (let i = 0; i < 20; i++) await new Promise((done) => setImmediate(done))
      seen.push(ended.length)
    }
    expect(seen).toEqual([3, 4, 5, 5, 5])
    expect(began).toEqual([0, 2, 4, 6, 8])
  })

  test('tells a failure when its turn comes, and goes on with what follows', async () => {
    const data = batches(counting(8), { size: 2, shuffle: false })
    const failing: Targets = async (query) => {
      if (query.ids[0] === 4) throw new Error('row 4 is damaged')
      return doubled(query)
    }
    const { data: ahead, targets } = readAhead({ data, targets: failing, batches: 3 })
    const told: string[] = []
    for await (const { ids, inputs } of ahead.epoch(0))
      told.push(
        await targets({ ids, inputs }).then(
          () => 'fine',
          (error: Error) => error.message,
        ),
      )
    expect(told).toEqual(['fine', 'fine', 'row 4 is damaged', 'fine'])
  })

  test('a source that fails does so after the batches before it', async () => {
    const whole = batches(counting(6), { size: 2, shuffle: false })
    const data = {
      ...whole,
      async *epoch(epoch: number, from?: number) {
        yield* whole.epoch(epoch, from)
        throw new Error('the source ended')
      },
    }
    const seen: number[] = []
    const read = readAhead({ data, targets: doubled, batches: 5 })
    await expect(async () => {
      for await (const { ids } of read.data.epoch(0)) seen.push(ids[0]!)
    }).rejects.toThrow('the source ended')
    expect(seen).toEqual([0, 2, 4])
  })

  test('an epoch that is left early has nothing on its way, and its source is told', async () => {
    const whole = batches(counting(20), { size: 2, shuffle: false })
    let [open, left] = [0, false]
    const data = {
      ...whole,
      async *epoch(epoch: number, from?: number) {
        try {
          yield* whole.epoch(epoch, from)
        } finally {
          left = true
        }
      },
    }
    const slow: Targets = async (query) => {
      open++
      const given = await doubled(query)
      open--
      return given
    }
    for await (const _ of readAhead({ data, targets: slow, batches: 4 }).data.epoch(0)) break
    expect([open, left]).toEqual([0, true])
  })

  test('other rows, and an abort, go past it', async () => {
    const data = batches(counting(4), { size: 2, shuffle: false })
    const { data: ahead, targets } = readAhead({ data, targets: doubled })
    for await (const { ids, inputs } of ahead.epoch(0)) {
      expect((await targets({ ids: ids.slice(), inputs })).twice!.data).toEqual(Float32Array.from(ids, (id) => 2 * id))
      await expect(targets({ ids, inputs }, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped')
    }
    expect(() => readAhead({ data, targets: doubled, batches: 0 })).toThrow(/"batches" must be a whole number ≥ 1/)
  })
})
