import { readFileSync } from 'node:fs'
import { FormatError, ImagoError, UnsupportedError } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readNpy } from '../../src/index.js'

interface Golden {
  arrays: { name: string; bytes: string; dims: number[]; values: string[] }[]
  pickled: string
  structured: string
}
const golden = JSON.parse(readFileSync(new URL('../golden/npy.json', import.meta.url), 'utf8')) as Golden
const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'))

test.each(golden.arrays.map((one) => [one.name, one] as const))('as NumPy saved it: %s', async (_, one) => {
  const got = await readNpy(bytesOf(one.bytes))
  expect(got.dims).toEqual(one.dims)
  const shown = [...(got.data as unknown as Iterable<number | bigint>)].map((value) =>
    typeof value === 'bigint' || got.type !== 'float32' ? value : Math.fround(value),
  )
  const wanted = one.values.map((text) => (typeof shown[0] === 'bigint' ? BigInt(text) : Number(text)))
  expect(shown).toEqual(wanted)
})

function npy(header: string, body: Uint8Array, claimed = header.length): Uint8Array {
  const out = new Uint8Array(10 + header.length + body.length)
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, claimed & 255, claimed >> 8])
  out.set(new TextEncoder().encode(header), 10)
  out.set(body, 10 + header.length)
  return out
}
const header = (descr: string, shape: string, fortran = 'False'): string =>
  `{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': ${shape}, }\n`

describe('what is not sound is refused', () => {
  const four = new Uint8Array(16)
  test('the header in other orders and spacings is the same', async () => {
    const text = `{ 'shape':(2 ,2), 'fortran_order' : False,'descr':'<f4'}`
    expect((await readNpy(npy(text, four))).dims).toEqual([2, 2])
  })

  test('cut at every byte', async () => {
    const whole = npy(header("'<f4'", '(4,)'), four)
    expect((await readNpy(whole)).dims).toEqual([4])
    for (let length = 0; length < whole.length; length++)
      await expect(readNpy(whole.slice(0, length)), `${length} bytes`).rejects.toThrow(FormatError)
  })

  test.each([
    ['trailing data', npy(header("'<f4'", '(3,)'), four), /needs \d+ bytes/],
    ['code in the type', npy(header('__import__("os").system("true")', '(4,)'), four), /not a dict/],
    ['code in the shape', npy(header("'<f4'", '(exit(),)'), four), /not a dict/],
    ['a list', npy('[1, 2]', four), /not a dict/],
    ['a key twice', npy(`{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (4,)}`, four), /not a dict/],
    ['another key', npy(`{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'x': 1}`, four), /not a dict/],
    ['a negative dim', npy(header("'<f4'", '(-4,)'), four), /not a dict/],
    ['a dim of 2⁶⁴', npy(header("'<f4'", '(18446744073709551616,)'), four), /not a tuple of whole numbers/],
    ['dims beyond 2⁵³', npy(header("'<f4'", '(9007199254740991, 9007199254740991)'), four), /more than any file/],
    ['a float dim', npy(header("'<f4'", '(4.0,)'), four), /not a dict/],
    ['the wrong magic', Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x58, 1, 0, 0, 0), /byte 5: is no .npy/],
    ['a later version', Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 9, 0, 0, 0, 0, 0), /byte 6: .npy version 9/],
    ['a header of 4 GiB', Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 255, 255, 255, 255), /byte 8/],
  ])('%s', async (_, bytes, message) => {
    await expect(readNpy(bytes)).rejects.toThrow(message)
  })

  test('pickled objects and structured types say so', async () => {
    await expect(readNpy(bytesOf(golden.pickled))).rejects.toThrow(/pickled Python objects, which are never loaded/)
    await expect(readNpy(bytesOf(golden.structured))).rejects.toThrow(UnsupportedError)
    await expect(readNpy(npy(header("'<c8'", '(2,)'), four))).rejects.toThrow(/'<c8' is not taken/)
  })

  test('any bytes changed give a tensor or one of our errors', async () => {
    const whole = npy(header("'<f4'", '(2, 2)'), four)
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), async (at, value) => {
        const broken = whole.slice()
        broken[at] = value
        const result = await readNpy(broken).catch((error: unknown) => error)
        expect(result instanceof ImagoError || 'dims' in (result as object)).toBe(true)
      }),
    )
  })
})
