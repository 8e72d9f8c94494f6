import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { FormatError, NotFoundError } from '@imago/tensor'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readIdx } from '../../src/index.js'
import { encodeIdx, idxTypes } from './encode-idx.js'

const small = encodeIdx(11, [2, 3], [1, -2, 300, -32768, 32767, 0])
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'imago-idx-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('what is written is read', () => {
  test.each(idxTypes)('type %i, %s, plain and gzipped', async (code, type) => {
    const value = type.startsWith('float') ? fc.integer({ min: -1e6, max: 1e6 }).map((x) => x / 8) : fc.nat(127)
    const array = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }).chain((dims) => {
      const count = dims.reduce((a, b) => a * b, 1)
      return fc.tuple(fc.constant(dims), fc.array(value, { minLength: count, maxLength: count }))
    })
    await fc.assert(
      fc.asyncProperty(array, fc.boolean(), async ([dims, values], pack) => {
        const bytes = encodeIdx(code, dims, values)
        const got = await readIdx(pack ? gzipSync(bytes) : bytes)
        expect(got.type).toBe(type)
        expect(got.dims).toEqual(dims)
        expect(Array.from(got.data as Uint8Array)).toEqual(values)
      }),
      { numRuns: 40 },
    )
  })

  test('from a file, a URL and bytes inside a larger buffer', async () => {
    const path = join(folder, 'small.idx')
    writeFileSync(path, small)
    const larger = new Uint8Array(small.length + 9)
    larger.set(small, 5)
    const sources = [path, new URL(`file://${path}`), larger.subarray(5, 5 + small.length)]
    for (const source of sources)
      expect(Array.from((await readIdx(source)).data as Int16Array)).toEqual([1, -2, 300, -32768, 32767, 0])
  })

  test('what the caller passed stays as it was', async () => {
    const before = small.slice()
    await readIdx(small)
    expect(small).toEqual(before)
  })
})

describe('what is not whole is refused', () => {
  test('cut at every byte', async () => {
    for (let length = 0; length < small.length; length++)
      await expect(readIdx(small.slice(0, length)), `${length} bytes`).rejects.toThrow(FormatError)
  })

  test('gzip cut at every byte', async () => {
    const packed = gzipSync(small)
    for (let length = 0; length < packed.length; length++)
      await expect(readIdx(packed.subarray(0, length)), `${length} bytes`).rejects.toThrow(FormatError)
  })

  test('unpacked data cut at every byte', async () => {
    for (let length = 0; length < small.length; length++)
      await expect(readIdx(gzipSync(small.slice(0, length))), `${length} bytes`).rejects.toThrow(FormatError)
  })

  test.each([
    ['a byte too many', Uint8Array.from([...small, 0]), /byte 24: dims 2 × 3 of int16 need 24 bytes, the file has 25/],
    ['no zeros first', Uint8Array.from([80, 75, 3, 4, 0, 0]), /byte 0: is no IDX file/],
    ['little-endian', Uint8Array.from([3, 8, 0, 0, 1, 0, 0, 0]), /byte 0: its header is little-endian/],
    ['an unknown type', Uint8Array.from([0, 0, 10, 1, 0, 0, 0, 1, 0]), /byte 2: 0xa is no IDX type/],
    ['no dims', Uint8Array.from([0, 0, 8, 0]), /byte 3: has no dims/],
    ['no rows', Uint8Array.from([0, 0, 8, 1, 0, 0, 0, 0]), /byte 4: dim 0 is 0/],
    ['2³¹ rows in 16 bytes', encodeIdx(8, [2 ** 31, 28], [1, 2, 3, 4]), /need 60129542156 bytes, the file has 16/],
    ['dims beyond 2⁵³', encodeIdx(14, [2 ** 32 - 1, 2 ** 32 - 1, 9], []), /more than any file holds/],
    ['gzip: a byte too many', gzipSync(Uint8Array.from([...small, 0])), /goes on after the 24 bytes/],
    ['gzip: 2³¹ rows', gzipSync(encodeIdx(8, [2 ** 31], [1])), /packed bytes cannot hold/],
    ['gzip: garbage after the end', Buffer.concat([gzipSync(small), Buffer.from('garbage')]), /no sound gzip file/],
    ['gzip: zeros after the end', Buffer.concat([gzipSync(small), Buffer.alloc(9)]), /data after the end of the gzip/],
    ['gzip: two members', Buffer.concat([gzipSync(small), gzipSync(small)]), /goes on after the 24 bytes/],
    ['gzip: wrong CRC', wrongSum(gzipSync(small)), /no sound gzip file/],
  ])('%s', async (_, bytes, message) => {
    const error = await readIdx(bytes).then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toMatch(message)
  })

  test('a gzip bomb stops at the size that its header states', async () => {
    // 64 MiB of zeros behind a header that asks for 1,000 bytes.
    const bomb = gzipSync(Buffer.concat([encodeIdx(8, [1000], []), new Uint8Array(1 << 26)]))
    await expect(readIdx(bomb)).rejects.toThrow(/goes on after the 1008 bytes/)
  })

  test('a header that honestly asks for more than is unpacked in memory', async () => {
    const noise = randomBytes(5_000_000)
    const large = gzipSync(Buffer.concat([encodeIdx(8, [65_536, 65_537], []), noise]), { level: 1 })
    await expect(readIdx(large)).rejects.toThrow(/at most 4294967296 are unpacked in memory/)
  })

  test('a folder, a FIFO, a missing file', async () => {
    await expect(readIdx(folder)).rejects.toThrow(/is a folder/)
    await expect(readIdx(join(folder, 'none.idx'))).rejects.toThrow(NotFoundError)
    if (process.platform === 'win32') return
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    await expect(readIdx(fifo)).rejects.toThrow(/not a regular file/)
  })
})

function wrongSum(bytes: Uint8Array): Uint8Array {
  const at = bytes.length - 6
  bytes[at] = bytes[at]! ^ 1
  return bytes
}
