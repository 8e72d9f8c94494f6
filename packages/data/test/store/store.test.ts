import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensembleTargets, geometric } from '@imago/ensembles'
import { decodeFloat16, fromFloat16, topK } from '@imago/kernels'
import { rng, type Tensor, type TensorMap, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { batches, compactCost, fromStore, noise, openStore } from '../../src/index.js'
import { allOf, classes, encodings, fill, rows, some, straight, targets } from './problem.js'

let root: string
let counter = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-store-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))
const place = (): string => join(root, `store-${counter++}`)

const row = (value: Tensor, r: number): number[] => {
  const width = value.data.length / value.dims[0]!
  return Array.from(value.data as Float32Array).slice(r * width, (r + 1) * width)
}

describe('a store', () => {
  test.each([['consecutive ids', rows(75)] as const, ['ids as they come', some(75)] as const])(
    'gives back what its teacher said, row by row, in any order: %s',
    async (_, data) => {
      const folder = place()
      await fill({ folder, data, encoding: encodings.float32!, shardRows: 32 })
      const store = await openStore(folder)
      expect([store.rows, store.complete, store.identity.classes]).toEqual([75, true, classes])
      const want = await straight(data)
      const read = fromStore(store, { temperature: 7 })
      await fc.assert(
        fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 74 }), { minLength: 1, maxLength: 40 }), async (places) => {
          const batch = data.rows(Uint32Array.from(places))
          const { logits } = await read(batch)
          for (const [i, at] of places.entries()) expect(row(logits!, i)).toEqual(row(want, at))
        }),
        { numRuns: 30 },
      )
      await store.verify()
      expect(store.ids(30, 34)).toEqual(data.rows(Uint32Array.of(30, 31, 32, 33)).ids)
      await store.close()
      await expect(read(allOf(data))).rejects.toThrow(/closed/)
    },
  )

  test.each(Object.keys(encodings))('%s: shards and batches of any size make the same targets', async (name) => {
    const data = some(50)
    const encoding = encodings[name]!
    const made: TensorMap[] = []
    for (const [shardRows, batch] of [
      [50, 50],
      [7, 3],
      [16, 64],
    ] as const) {
      const folder = place()
      await fill({ folder, data, encoding, shardRows, batch })
      const store = await openStore(folder)
      made.push(await fromStore(store)(allOf(data)))
      await store.close()
    }
    expect(made[1]).toEqual(made[0])
    expect(made[2]).toEqual(made[0])
    expect(Object.keys(made[0]!)).toEqual(
      name === 'top-k'
        ? ['indices', 'values', 'logTail@1', 'logTail@4']
        : name === 'compact'
          ? ['indices', 'values', 'logTail@2']
          : ['logits'],
    )
  })

  test('of full logits serves every temperature; of k classes those that it was filled for, and says so', async () => {
    const data = rows(20)
    const [full, some] = [place(), place()]
    await fill({ folder: full, data })
    await fill({ folder: some, data, encoding: encodings['top-k']! })
    const [whole, part] = [await openStore(full), await openStore(some)]
    for (const temperature of [0.5, 1, 3, 20]) expect(() => fromStore(whole, { temperature })).not.toThrow()
    for (const temperature of [1, 4]) expect(() => fromStore(part, { temperature })).not.toThrow()
    expect(() => fromStore(part, { temperature: 3 })).toThrow(
      expect.objectContaining({
        code: 'ERR_UNSUPPORTED',
        message: expect.stringMatching(/4 classes a row .* at T = 1, 4 only.*fill a store again.*full logits/),
      }),
    )
    expect(() => fromStore(whole, { temperature: 0 })).toThrow(/temperature/)
    await Promise.all([whole.close(), part.close()])
  })

  test('of k classes is filled from one of full logits, at other temperatures', async () => {
    const data = rows(30)
    const [from, to] = [place(), place()]
    await fill({ folder: from, data })
    const full = await openStore(from)
    const encoding = { kind: 'top-k', k: 6, temperatures: [3] } as const
    await fill({ folder: to, data, targets: fromStore(full), encoding })
    const part = await openStore(to)
    const got = await fromStore(part, { temperature: 3 })(allOf(data))
    const { logits } = await fromStore(full)(allOf(data))
    const want = topK({ logits: fromFloat16({ x: logits as Tensor<'float16'> }), k: 6, temperature: 3 })
    expect(got['logTail@3']!.data).toEqual(want.logTail.data)
    for (let r = 0; r < 30; r++)
      expect(
        row(got.values!, r)
          .map(decodeFloat16)
          .sort((a, b) => b - a),
      ).toEqual(row(want.values, r))
    await Promise.all([full.close(), part.close()])
  })

  test('of compact rows says what it costs at most, and costs no more', async () => {
    const data = rows(50)
    const folder = place()
    await fill({ folder, data, encoding: { kind: 'compact', k: classes, bits: 5, temperatures: [1] } })
    const store = await openStore(folder)
    const cost = (await compactCost(store))!
    expect(cost.rows).toBe(50)
    const { values, indices } = await fromStore(store)(allOf(data))
    const want = await straight(data)
    const logSoftmax = (z: number[]): number[] => {
      const sum = Math.log(z.reduce((total, x) => total + Math.exp(x), 0))
      return z.map((x) => x - sum)
    }
    let worst = 0
    for (let r = 0; r < 50; r++) {
      expect(row(indices!, r)).toEqual([...Array(classes).keys()])
      const [p, q] = [logSoftmax(row(want, r)), logSoftmax(row(values!, r))]
      worst = Math.max(
        worst,
        p.reduce((sum, x, c) => sum + Math.exp(x) * (x - q[c]!), 0),
      )
    }
    expect(worst).toBeLessThanOrEqual(cost.bound)
    expect(worst).toBeGreaterThan(cost.bound / 100)
    await store.close()
    const whole = place()
    await fill({ folder: whole, data })
    const full = await openStore(whole)
    expect(await compactCost(full)).toBeUndefined()
    await full.close()
  })

  test('is a member of an ensemble', async () => {
    const data = rows(10)
    const folder = place()
    await fill({ folder, data, encoding: encodings.float32! })
    const store = await openStore(folder)
    const { logits } = await ensembleTargets([fromStore(store), targets], geometric())(allOf(data))
    const alone = await ensembleTargets([targets], geometric())(allOf(data))
    for (const [i, x] of (logits!.data as Float32Array).entries())
      expect(x).toBeCloseTo((alone.logits!.data as Float32Array)[i]!, 5)
    await store.close()
  })

  test('reads more shards than it keeps open, many batches at a time', async () => {
    const data = rows(120)
    const folder = place()
    await fill({ folder, data, encoding: encodings.float32!, shardRows: 3 })
    const store = await openStore(folder)
    const want = await straight(data)
    const read = fromStore(store)
    const random = rng(5)
    const orders = Array.from({ length: 20 }, () => Uint32Array.from({ length: 60 }, () => random.integer(120)))
    const results = await Promise.all(orders.map((order) => read(data.rows(order))))
    for (const [b, { logits }] of results.entries())
      for (const [i, at] of orders[b]!.entries()) expect(row(logits!, i)).toEqual(row(want, at))
    await store.close()
  })
})

describe('use that is stale, shuffled or foreign is refused with the reason', () => {
  let folder: string
  const data = rows(40)
  beforeAll(async () => {
    folder = place()
    await fill({ folder, data })
  })
  const using = async (batch: { ids: Uint32Array; inputs: TensorMap }): Promise<unknown> => {
    const store = await openStore(folder)
    try {
      return await fromStore(store)(batch)
    } finally {
      await store.close()
    }
  }

  test('augmented inputs', async () => {
    expect.assertions(1)
    const augmented = batches(data, { size: 8, rng: rng(1), augment: noise(0.1) })
    for await (const batch of augmented.epoch(0)) {
      await expect(using(batch)).rejects.toMatchObject({
        code: 'ERR_STATE',
        message: expect.stringMatching(/not those that its teacher saw.*8 of 8 rows.*augmented.*views/),
      })
      break
    }
  })

  test('shuffled rows, other data, other preprocessing', async () => {
    const { ids, inputs } = allOf(data)
    await expect(using({ ids: ids.toReversed(), inputs })).rejects.toThrow(/40 of 40 rows differ/)
    const two = ids.slice()
    ;[two[3], two[4]] = [4, 3]
    await expect(using({ ids: two, inputs })).rejects.toThrow(/inputs of row 4 .*2 of 40 rows differ/)
    await expect(using(allOf(rows(40, 2)))).rejects.toThrow(/not those that its teacher saw/)
    const scaled = tensor(
      'float32',
      [40, 5],
      (inputs.input!.data as Float32Array).map((x) => x / 255),
    )
    await expect(using({ ids, inputs: { input: scaled } })).rejects.toThrow(/preprocessing/)
    await expect(using({ ids, inputs: { pixels: inputs.input! } })).rejects.toThrow(/filled from inputs.*pixels/)
  })

  test('rows that it does not have', async () => {
    await expect(using(allOf(rows(41)))).rejects.toMatchObject({
      code: 'ERR_NOT_FOUND',
      message: expect.stringMatching(/no targets for row 40/),
    })
  })

  test('a single bit of one input', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 40 * 5 * 32 - 1 }), async (bit) => {
        const { ids, inputs } = allOf(data)
        const changed = (inputs.input!.data as Float32Array).slice()
        new Uint8Array(changed.buffer)[bit >> 3]! ^= 1 << (bit & 7)
        const id = Math.floor(bit / 160)
        await expect(using({ ids, inputs: { input: tensor('float32', [40, 5], changed) } })).rejects.toThrow(
          new RegExp(`inputs of row ${id} .*1 of 40`),
        )
      }),
      { numRuns: 20 },
    )
  })

  test('another teacher, preprocessing or number of classes than expected', async () => {
    await expect(openStore(folder, { expect: { teacher: 'teacher 2' } })).rejects.toMatchObject({
      code: 'ERR_STATE',
      message: expect.stringMatching(/the teacher: "teacher 1" there, "teacher 2" here.*stale/),
    })
    await expect(openStore(folder, { expect: { preprocessing: '/255' } })).rejects.toThrow(/input map/)
    await expect(openStore(folder, { expect: { classes: 10 } })).rejects.toThrow(/classes: 20 there, 10 here/)
    await (await openStore(folder, { expect: { teacher: 'teacher 1', classes: 20 } })).close()
  })

  test('no store', async () => {
    await expect(openStore(join(root, 'nothing'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
  })
})
