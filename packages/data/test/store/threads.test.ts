import { mkdtemp, open, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromStore, openStore, type Store } from '../../src/index.js'
import { blockReaders } from '../../src/store/block-readers.js'
import { encodings, fill, rows } from './problem.js'

const count = 3000
const data = rows(count)
let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-store-threads-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

async function filled(name: string, encoding = encodings.float16!): Promise<string> {
  const folder = join(root, name)
  await fill({ folder, data, encoding, shardRows: 700, batch: 500 })
  return folder
}
async function both(folder: string, what: (plain: Store, threaded: Store) => Promise<void>): Promise<void> {
  const [plain, threaded] = [await openStore(folder), await openStore(folder, { threads: 3 })]
  try {
    await what(plain, threaded)
  } finally {
    await plain.close()
    await threaded.close()
  }
}
const reason = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: Error & { code?: string }) => `${error.code}: ${error.message}`,
  )

describe('a store that is read by threads', () => {
  test.each(['float16', 'top-k'])('%s: says what it says without them, in any order, many at a time', async (name) => {
    await both(await filled(name, encodings[name]), async (plain, threaded) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(fc.nat(count - 1), { maxLength: 60 }), { minLength: 1, maxLength: 5 }),
          async (batches) => {
            const read = (store: Store) => Promise.all(batches.map((places) => store.read(places)))
            expect(await read(threaded)).toEqual(await read(plain))
          },
        ),
        { numRuns: 60 },
      )
      await threaded.verify()
      await expect(threaded.read([1, count])).rejects.toThrow(/rows in \[0, 3000\)/)
    })
  })

  test('tells damage as it is told without them: a row that was changed, a shard that was cut while it is open', async () => {
    const folder = await filled('damaged')
    const path = join(folder, 'shard-000002.bin')
    const file = await open(path, 'r+')
    await file.write(Uint8Array.of(255, 255), 0, 2, 64 + 44 * 10)
    await file.close()
    await both(folder, async (plain, threaded) => {
      const batch = data.rows(Uint32Array.of(5, 1410, 2000, 2999))
      const told = await reason(fromStore(threaded)(batch))
      expect(told).toMatch(
        /ERR_FORMAT: .*shard-000002\.bin: row 1410 \(id 1410\) is damaged: the CRC-32 of rows 1400 … /,
      )
      expect(told).toBe(await reason(fromStore(plain)(batch)))
      expect(await reason(threaded.verify())).toBe(await reason(plain.verify()))
      await truncate(path, 64 + 44 * 300)
      const cut = await reason(threaded.read([5, 2000]))
      expect(cut).toMatch(/ERR_FORMAT: .*shard-000002\.bin: ends after \d+ bytes; it was cut/)
      expect(cut).toBe(await reason(plain.read([5, 2000])))
      expect((await threaded.read([5, 2999])).targets).toEqual((await plain.read([5, 2999])).targets)
    })
  })

  test('closed while it reads: an error, and no thread is left', async () => {
    const store = await openStore(await filled('closed'), { threads: 2 })
    await store.read([1])
    const late = reason(store.read([1, 800, 1500, 2999]))
    await store.close()
    expect(await late).toMatch(/no error|ERR_STATE/)
    expect(await reason(store.read([1]))).toMatch(/ERR_STATE: .*closed/)
  })

  test('a file that cannot be read is an error of the read that asked, and the next ones go on', async () => {
    const readers = blockReaders(2)
    const folder = await filled('readers')
    const file = await open(join(folder, 'shard-000000.bin'), 'r')
    try {
      const fine = { fd: file.fd, position: 0, length: 64, offset: 0, first: 0 }
      const magic = () =>
        readers.read([fine], 64, ({ bytes, found }) => `${new TextDecoder().decode(bytes.slice(0, 8))} ${found[0]}`)
      expect(await magic()).toBe('imagoSTS 64')
      const bad = { ...fine, fd: 1_000_000, offset: 64, first: 1 }
      await expect(readers.read([fine, bad], 64, () => 'read')).rejects.toThrow(/EBADF/)
      expect(await magic()).toBe('imagoSTS 64')
    } finally {
      await readers.close()
      await file.close()
    }
    await expect(openStore(folder, { threads: 1.5 })).rejects.toThrow(/"threads" must be a whole number in \[0, 64\]/)
  })
})
