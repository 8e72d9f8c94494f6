import { readFileSync } from 'node:fs'
import { crc32, deflateRawSync } from 'node:zlib'
import { FormatError, ImagoError, UnsupportedError } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { readNpz } from '../../src/index.js'
import { encodeZip } from '../zip/encode-zip.js'

const golden = JSON.parse(readFileSync(new URL('../golden/npy.json', import.meta.url), 'utf8')) as {
  arrays: { name: string; bytes: string }[]
  npz: { stored: string; deflated: string }
}
const stored = new Uint8Array(Buffer.from(golden.npz.stored, 'base64'))
const deflated = new Uint8Array(Buffer.from(golden.npz.deflated, 'base64'))
const vector = new Uint8Array(Buffer.from(golden.arrays.find(({ name }) => name === 'vector')!.bytes, 'base64'))

describe('what NumPy packed', () => {
  test.each([
    ['savez', stored],
    ['savez_compressed', deflated],
  ])('%s', async (_, bytes) => {
    const { x, y, ...more } = await readNpz(bytes)
    expect(more).toEqual({})
    expect(x!.dims).toEqual([6, 4])
    expect(x!.data).toEqual(Float32Array.from({ length: 24 }, (_, i) => i / 8))
    expect(y!.data).toEqual(BigInt64Array.of(0n, 1n, 2n, 0n, 1n, 2n))
  })
})

describe('what is damaged is refused', () => {
  test.each([
    ['stored', stored],
    ['deflated', deflated],
  ])('%s, cut at every byte', async (_, bytes) => {
    for (let length = 0; length < bytes.length; length++)
      await expect(readNpz(bytes.slice(0, length)), `${length} bytes`).rejects.toThrow(FormatError)
  })

  test.each([
    ['stored', stored],
    ['deflated', deflated],
  ])('%s, each byte changed: arrays or one of our errors, and data never differs', async (_, bytes) => {
    const wanted = await readNpz(bytes)
    for (let at = 0; at < bytes.length; at++) {
      const broken = bytes.slice()
      broken[at] = broken[at]! ^ 0x55
      const got = await readNpz(broken).catch((error: unknown) => error)
      if (got instanceof ImagoError) continue
      for (const value of Object.values(got as typeof wanted))
        expect([wanted.x, wanted.y], `byte ${at}`).toContainEqual(value)
    }
  })

  test('a member that unpacks to more than it says stops there', async () => {
    const packed = deflateRawSync(new Uint8Array(1 << 24))
    const zip = encodeZip([{ name: 'x.npy', packed, method: 8, size: 1000, crc: 0 }])
    await expect(readNpz(zip)).rejects.toThrow(/cannot be unpacked into its 1000 bytes/)
  })

  test('a member that claims more than deflate can give is refused before anything is allocated', async () => {
    const zip = encodeZip([{ name: 'x.npy', packed: deflateRawSync(vector), method: 8, size: 2 ** 31, crc: 0 }])
    await expect(readNpz(zip)).rejects.toThrow(/packed bytes cannot hold/)
  })

  test('the same name twice, a wrong CRC, another method', async () => {
    const good = { name: 'x.npy', packed: vector, method: 0, size: vector.length, crc: crc32(vector) }
    expect((await readNpz(encodeZip([good]))).x!.dims).toEqual([3])
    await expect(readNpz(encodeZip([good, good]))).rejects.toThrow(/two members "x.npy"/)
    await expect(readNpz(encodeZip([{ ...good, crc: 1 }]))).rejects.toThrow(/CRC-32 is wrong/)
    await expect(readNpz(encodeZip([{ ...good, method: 12 }]))).rejects.toThrow(UnsupportedError)
  })

  test('a member called __proto__ is a name like any other', async () => {
    const zip = encodeZip([
      { name: '__proto__.npy', packed: vector, method: 0, size: vector.length, crc: crc32(vector) },
    ])
    const arrays = await readNpz(zip)
    expect(Object.keys(arrays)).toEqual(['__proto__'])
  })
})
