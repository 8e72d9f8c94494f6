import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensembleTargets, geometric } from '@imago/ensembles'
import { decodeFloat16, fromFloat16, topK } from '@imago/kernels'
import { rng, type Tensor, type TensorMap, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  batches,
  compactCost,
  createStore,
  type Dataset,
  fromStore,
  jitterAugment,
  noise,
  openStore,
  subset,
} from '../../src/index.js'
import { allOf, classes, contents, encodings, fill, rows, some, targets, teacher } from './problem.js'

let root: string
let counter = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-store-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))
const place = (): string => join(root, `store-${counter++}`)

/** What the teacher says of a data set's rows, straight. */
async function straight(data: Dataset): Promise<Tensor<'float32'>> {
  return (await teacher(allOf(data).inputs)).logits as Tensor<'float32'>
}

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
    const augmented = batches(data, { size: 8, rng: rng(1), augment: noise(0.1) })
    for await (const batch of augmented.epoch(0)) {
      await expect(using(batch)).rejects.toMatchObject({
        code: 'ERR_STATE',
        message: expect.stringMatching(/not those that its teacher saw.*8 of 8 rows.*augmented.*views/),
      })
      break
    }
    expect(jitterAugment).toBeDefined()
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

describe('filling', () => {
  test('stopped by its signal goes on where it was, and ends as the undisturbed one to the last bit', async () => {
    const data = some(100)
    for (const encoding of Object.values(encodings)) {
      const [whole, stopped] = [place(), place()]
      const options = { data, encoding, shardRows: 32, batch: 5 }
      await fill({ ...options, folder: whole })
      const random = rng(3)
      for (let done = false, last = 0; !done; ) {
        const stop = new AbortController()
        let asked = 0
        const most = random.integer(6)
        const counting = (async (query, signal) => {
          if (asked++ === most) stop.abort(new Error('enough'))
          return targets(query, signal)
        }) satisfies typeof targets
        const seen: number[] = []
        try {
          seen.push(...(await fill({ ...options, folder: stopped, targets: counting, classes, signal: stop.signal })))
          done = true
        } catch (error) {
          expect((error as Error).message).toBe('enough')
        }
        const store = await openStore(stopped)
        expect(store.rows % 32 === 0 || store.complete).toBe(true)
        expect(store.rows).toBeGreaterThanOrEqual(last)
        last = store.rows
        await store.close()
      }
      expect(await contents(stopped)).toEqual(await contents(whole))
    }
  })

  test('goes on inside a shard: no row is asked for again', async () => {
    const data = rows(64)
    const folder = place()
    let asked = 0
    const stop = new AbortController()
    const counting = (async (query, signal) => {
      asked += query.ids.length
      if (asked >= 40) stop.abort(new Error('enough'))
      return targets(query, signal)
    }) satisfies typeof targets
    const options = { folder, data, targets: counting, classes }
    await expect(fill({ ...options, signal: stop.signal })).rejects.toThrow('enough')
    expect(asked).toBe(40)
    expect(await fill(options)).toEqual([40, 48, 56, 64])
    expect(asked).toBe(64)
  })

  test('a store that is complete is left as it is, and its teacher in peace', async () => {
    const data = rows(20)
    const folder = place()
    await fill({ folder, data })
    const before = await contents(folder)
    const never = (async () => {
      throw new Error('asked')
    }) satisfies typeof targets
    expect(await fill({ folder, data, targets: never, classes })).toEqual([20])
    expect(await contents(folder)).toEqual(before)
  })

  test('a folder of another store, of other data or of other files is refused, and left as it is', async () => {
    const data = rows(20)
    const folder = place()
    await fill({ folder, data })
    const before = await contents(folder)
    await expect(fill({ folder, data, teacher: 'teacher 2' })).rejects.toThrow(/the teacher: "teacher 1" there/)
    await expect(fill({ folder, data, encoding: encodings.float32! })).rejects.toThrow(/what is kept of a row/)
    await expect(fill({ folder, data: rows(21) })).rejects.toThrow(/rows: 20 there, 21 here/)
    await expect(fill({ folder, data: rows(20, 9) })).rejects.toThrow(/begun with other data/)
    expect(await contents(folder)).toEqual(before)
    await expect(fill({ folder: root, data })).rejects.toThrow(/holds files that are no store/)
  })

  test('a teacher that fails keeps what it said before', async () => {
    const data = rows(64)
    const folder = place()
    let asked = 0
    const failing = (async (query) => {
      if (asked++ === 3)
        return { logits: tensor('float32', [8, classes], new Float32Array(8 * classes).fill(Number.NaN)) }
      return targets(query)
    }) satisfies typeof targets
    await expect(fill({ folder, data, targets: failing, classes })).rejects.toThrow(/row 24 hold NaN/)
    expect((await fill({ folder, data }))[0]).toBe(24)
    const store = await openStore(folder)
    expect(store.complete).toBe(true)
    await store.close()
  })

  test('a second writer is refused with who is there', async () => {
    const data = rows(20)
    const { inputs } = data.rows(Uint32Array.of(0))
    const folder = place()
    const options = { folder, classes, rows: 20, encoding: encodings.float16!, teacher: 'teacher 1', inputs }
    const first = await createStore(options)
    await expect(createStore(options)).rejects.toMatchObject({
      code: 'ERR_STATE',
      message: expect.stringMatching(new RegExp(`in use by process ${process.pid} on `)),
    })
    await first.close()
    await first.close()
    await expect(first.append({ ...allOf(data), targets: {} })).rejects.toThrow(/closed/)
    const second = await createStore(options)
    expect(second.rows).toBe(0)
    await second.close()
  })

  test('readers see the shards that are published', async () => {
    const data = rows(64)
    const folder = place()
    const { ids, inputs } = allOf(data)
    const options = {
      folder,
      classes,
      rows: 64,
      encoding: encodings.float32!,
      teacher: 'teacher 1',
      inputs,
      shardRows: 16,
    }
    const writer = await createStore(options)
    const want = await straight(data)
    for (let at = 0; at < 64; at += 8) {
      const part = data.rows(ids.slice(at, at + 8))
      await writer.append({ ...part, targets: await targets(part) })
      await writer.flush()
      const store = await openStore(folder)
      const published = Math.floor((at + 8) / 16) * 16
      expect([store.rows, store.complete]).toEqual([published, published === 64])
      if (published > 0) {
        const seen = await fromStore(store)(data.rows(ids.slice(0, published)))
        expect(seen.logits!.data).toEqual(want.data.slice(0, published * classes))
      }
      if (published < 64)
        await expect(fromStore(store)(data.rows(ids.slice(0, published + 1)))).rejects.toThrow(/not finished/)
      await store.close()
    }
    await writer.close()
  })

  test('more rows than the store takes, and other inputs, are refused', async () => {
    const data = rows(20)
    const folder = place()
    const { inputs } = allOf(data)
    const options = { folder, classes, rows: 10, encoding: encodings.float16!, teacher: 'teacher 1', inputs }
    const writer = await createStore(options)
    const all = { ...allOf(data), targets: await targets(allOf(data)) }
    await expect(writer.append(all)).rejects.toThrow(/at most 10 rows/)
    await expect(writer.append({ ...all, inputs: { x: inputs.input! } })).rejects.toThrow(/inputs/)
    const ten = subset(
      data,
      Uint32Array.from({ length: 10 }, (_, i) => i),
    )
    await writer.append({ ...allOf(ten), targets: await targets(allOf(ten)) })
    expect([writer.rows, writer.complete, writer.shardLeft]).toEqual([10, true, 0])
    await writer.close()
  })
})
