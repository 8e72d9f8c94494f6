import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rng, tensor } from '@imago/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createStore, fromStore, openStore, subset } from '../../src/index.js'
import { allOf, classes, contents, encodings, fill, rows, some, straight, targets } from './problem.js'

let root: string
let counter = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-store-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))
const place = (): string => join(root, `store-${counter++}`)

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
