import { cp, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rng } from '@imago/tensor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fromStore, openStore } from '../../src/index.js'
import { decodeManifest, encodeManifest, type Manifest } from '../../src/store/manifest.js'
import { allOf, encodings, fill, rows, some, targets } from './problem.js'

let root: string
let counter = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'imago-store-faults-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))
const place = (): string => join(root, `store-${counter++}`)

const data = some(60)
const options = { data, encoding: encodings['top-k']!, shardRows: 24 }

/** Open, read every row through its inputs: the targets, or the error. */
async function everything(folder: string): Promise<unknown> {
  const store = await openStore(folder)
  try {
    return await fromStore(store)(allOf(data))
  } finally {
    await store.close()
  }
}

async function filled(more: object = {}): Promise<string> {
  const folder = place()
  await fill({ ...options, folder, ...more })
  return folder
}

const shardFiles = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.endsWith('.bin')).sort()

describe('damage is found, never read as targets', () => {
  test('any one bit flipped anywhere', async () => {
    const folder = await filled()
    const want = await everything(folder)
    const files = await readdir(folder)
    expect(files.sort()).toEqual(['shard-000000.bin', 'shard-000001.bin', 'shard-000002.bin', 'store.json'])
    const random = rng(41)
    for (const name of files) {
      const path = join(folder, name)
      const whole = await readFile(path)
      // A bit of each of the first bytes and the last, and many between.
      const ends = [...Array(70).keys(), ...Array.from(Array(30).keys(), (i) => whole.length - 1 - i)]
      const bits = new Set(ends.map((byte) => 8 * byte + random.integer(8)))
      while (bits.size < 250) bits.add(random.integer(8 * whole.length))
      for (const bit of bits) {
        const damaged = Uint8Array.from(whole)
        damaged[bit >> 3]! ^= 1 << (bit & 7)
        await writeFile(path, damaged)
        const error = await everything(folder).then(
          () => undefined,
          (reason: Error & { code?: string }) => reason,
        )
        // A flip in the version is a newer format.
        expect(['ERR_FORMAT', 'ERR_UNSUPPORTED'], `${name}, bit ${bit}`).toContain(error?.code)
        expect(error!.message).toContain(name)
      }
      await writeFile(path, whole)
    }
    expect(await everything(folder)).toEqual(want)
  })

  test('a damaged row is named, and others in other blocks are still read', async () => {
    const folder = place()
    const many = rows(3000)
    await fill({ folder, data: many, encoding: encodings.float16! })
    const path = join(folder, 'shard-000000.bin')
    const file = await open(path, 'r+')
    await file.write(Uint8Array.of(255, 255, 255, 255), 0, 4, 64 + 44 * 1000)
    await file.close()
    const store = await openStore(folder)
    const read = fromStore(store)
    await expect(read(many.rows(Uint32Array.of(5, 1000, 2000)))).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringMatching(
        /shard-000000\.bin: row 1000 \(id 1000\) is damaged: the CRC-32 of rows \d+ … \d+/,
      ),
    })
    await expect(store.verify()).rejects.toThrow(/is damaged/)
    const fine = await read(many.rows(Uint32Array.of(5, 2000)))
    expect(fine.logits!.dims).toEqual([2, 20])
    await store.close()
  })

  test('a shard cut at any byte', async () => {
    const folder = await filled()
    for (const name of await shardFiles(folder)) {
      const path = join(folder, name)
      const whole = await readFile(path)
      for (let length = 0; length < whole.length; length += length < 200 || length > whole.length - 100 ? 1 : 61) {
        await writeFile(path, whole.subarray(0, length))
        await expect(openStore(folder), `${name} of ${length} bytes`).rejects.toMatchObject({
          code: 'ERR_FORMAT',
          message: expect.stringContaining(name),
        })
      }
      await writeFile(path, whole)
    }
    const path = join(folder, 'store.json')
    const whole = await readFile(path)
    for (let length = 0; length < whole.length; length++) {
      await writeFile(path, whole.subarray(0, length))
      await expect(openStore(folder)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    }
    await writeFile(path, whole)
    await everything(folder)
  })

  test('a shard cut while it is open', async () => {
    const folder = await filled()
    const store = await openStore(folder)
    const path = join(folder, 'shard-000001.bin')
    await truncate(path, (await stat(path)).size - 900)
    await expect(fromStore(store)(allOf(data))).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await store.close()
  })

  test('a shard that is a folder, and none', async () => {
    const folder = await filled()
    const path = join(folder, 'shard-000001.bin')
    await rename(path, join(root, 'kept'))
    await expect(openStore(folder)).rejects.toThrow(/shard-000001\.bin: is missing, and the manifest lists it/)
    await mkdir(path)
    await expect(openStore(folder)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })
})

describe('a shard of elsewhere is refused with the reason', () => {
  test.each<[string, object, RegExp]>([
    ['another teacher', { teacher: 'teacher 2' }, /belongs to another store/],
    ['another temperature', { encoding: { kind: 'top-k', k: 4, temperatures: [1, 2] } }, /belongs to another store/],
    ['another preprocessing', { preprocessing: 'x/255' }, /belongs to another store/],
    ['another order of the same samples', { data: shuffled() }, /rows are not those that the manifest lists/],
    ['other samples', { data: rows(60, 7) }, /rows are not those that the manifest lists|bytes/],
  ])('%s', async (_, other, message) => {
    const [folder, from] = [await filled(), await filled(other)]
    await cp(join(from, 'shard-000001.bin'), join(folder, 'shard-000001.bin'))
    await expect(openStore(folder)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringMatching(message),
    })
  })

  test('another of the same store', async () => {
    const folder = await filled()
    await cp(join(folder, 'shard-000000.bin'), join(folder, 'shard-000001.bin'))
    await expect(openStore(folder)).rejects.toThrow(/is shard 0 of this store in the place of shard 1/)
  })

  test('one more', async () => {
    const folder = await filled()
    await cp(join(folder, 'shard-000000.bin'), join(folder, 'shard-000003.bin'))
    await expect(openStore(folder)).rejects.toThrow(/shard-000003\.bin: is not in the manifest/)
  })
})

describe('the manifest', () => {
  const rewritten = async (change: (manifest: Manifest) => Manifest): Promise<string> => {
    const folder = await filled()
    const path = join(folder, 'store.json')
    const manifest = decodeManifest(await readFile(path, 'utf8'), path)
    await writeFile(path, encodeManifest(change(manifest)))
    return folder
  }
  const text = async (change: (text: string) => string): Promise<string> => {
    const folder = await filled()
    const path = join(folder, 'store.json')
    await writeFile(path, change(await readFile(path, 'utf8')))
    return folder
  }

  test.each<[string, (manifest: Manifest) => Manifest, RegExp]>([
    [
      'a shard is missing',
      (m) => ({ ...m, shards: m.shards.slice(0, 2) }),
      /complete with 2 shards, where 60 rows make 3/,
    ],
    [
      'a shard is too many',
      (m) => ({ ...m, shards: [...m.shards, m.shards[2]!] }),
      /lists 4 shards where 60 rows make 3/,
    ],
    [
      'a shard is there twice',
      (m) => ({ ...m, shards: [m.shards[0]!, m.shards[0]!, m.shards[2]!] }),
      /shard-000001\.bin/,
    ],
    [
      'shards overlap',
      (m) => ({ ...m, shards: m.shards.map((s, i) => (i === 2 ? { ...s, rows: 24 } : s)) }),
      /24 rows and must have 12/,
    ],
    ['counts do not add up', (m) => ({ ...m, identity: { ...m.identity, rows: 61 } }), /12 rows and must have 13/],
  ])('%s', async (_, change, message) => {
    const folder = await rewritten(change)
    await expect(openStore(folder)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringMatching(message),
    })
  })

  test.each<[string, (text: string) => string, string, RegExp]>([
    [
      'a shard elsewhere',
      (t) => t.replace('shard-000001.bin', '../shard-000001.bin'),
      'ERR_FORMAT',
      /shard 1 is "\.\.\/shard-000001\.bin"/,
    ],
    [
      'a newer format',
      (t) => t.replace('"imagoStore": 2', '"imagoStore": 3'),
      'ERR_UNSUPPORTED',
      /of format 3, this imago reads formats up to 2; use a newer imago/,
    ],
    ['an older format, said falsely', (t) => t.replace('"imagoStore": 2', '"imagoStore": 1'), 'ERR_FORMAT', /damaged/],
    ['no version', (t) => t.replace('"imagoStore": 2', '"imagoStore": "2"'), 'ERR_FORMAT', /is not the manifest/],
    ['another teacher by hand', (t) => t.replace('teacher 1', 'teacher 2'), 'ERR_FORMAT', /damaged/],
    [
      'a polluting key',
      (t) => t.replace('"complete"', '"__proto__": {"complete": true}, "complete"'),
      'ERR_FORMAT',
      /damaged/,
    ],
    ['a k that is none', (t) => t.replace('"k": 4', '"k": 400'), 'ERR_FORMAT', /encoding.k/],
    ['a list', () => '[]', 'ERR_FORMAT', /is not the manifest/],
    ['a page', () => '<!doctype html>', 'ERR_FORMAT', /not JSON/],
    ['rows beyond all numbers', (t) => t.replace('"rows": 60', '"rows": 1e308'), 'ERR_FORMAT', /identity\.rows/],
  ])('%s', async (_, change, code, message) => {
    const folder = await text(change)
    await expect(openStore(folder)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    expect(({} as { complete?: boolean }).complete).toBeUndefined()
  })

  test('damaged: no writer goes on with it', async () => {
    const folder = await text((t) => t.replace('teacher 1', 'teacher 2'))
    const before = await readdir(folder)
    await expect(fill({ ...options, folder, targets })).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    expect(await readdir(folder)).toEqual(before)
  })
})

/** The same samples with their ids, in another order. */
function shuffled(): typeof data {
  return {
    length: data.length,
    rows: (indices) => data.rows(indices.map((index) => data.length - 1 - index)),
  }
}
