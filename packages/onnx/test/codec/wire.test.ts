import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { reader, readInt32, readInt64, readTag, tag, varintOf, varintOfInt64 } from '../../src/codec/wire.js'

/** The definition, in BigInt: seven bits a byte, lowest first, the upper bit says that more follow. */
function leb128(value: bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
    rest >>= 7n
  } while (rest > 0n)
  return bytes
}

const edges = [0n, 1n, -1n, 127n, 128n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, -(2n ** 63n)]
const int64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.constantFrom(...edges))

describe('varints', () => {
  test('64-bit integers are written by the definition and read back exactly', () => {
    fc.assert(
      fc.property(int64, (value) => {
        const bytes = varintOfInt64(value)
        expect(bytes).toEqual(leb128(value))
        expect(readInt64(reader(Uint8Array.from(bytes)))).toBe(value)
        if (value < 0n) expect(bytes).toHaveLength(10)
      }),
    )
  })

  test('32-bit integers are read from their ten bytes', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        expect(readInt32(reader(Uint8Array.from(leb128(BigInt(value)))))).toBe(value)
      }),
    )
  })

  test('lengths beyond 32 bits are written exactly', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        expect(varintOf(value)).toEqual(leb128(BigInt(value)))
      }),
    )
  })

  test('tags carry field number and wire type', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 29 - 1 }), fc.constantFrom(0, 1, 2, 5), (number, wire) => {
        expect(readTag(reader(Uint8Array.from(tag(number, wire))))).toEqual({ number, wire })
      }),
    )
  })

  test.each([
    ['eleven bytes', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]],
    ['a tenth byte beyond 64 bits', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]],
    ['the end in the middle', [0x80, 0x80]],
    ['nothing', []],
  ])('%s is refused', (_, bytes) => {
    expect(() => readInt64(reader(Uint8Array.from(bytes)))).toThrow(expect.objectContaining({ code: 'ERR_FORMAT' }))
  })
})
