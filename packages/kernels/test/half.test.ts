import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from '../src/half.js'

test('every float16 decodes to sign · significand · power of two', () => {
  expect([0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x3555].map(decodeFloat16)).toEqual([
    0,
    -0,
    1,
    -2,
    65504,
    2 ** -14,
    2 ** -24,
    0.333251953125,
  ])
  expect(decodeFloat16(0x7c00)).toBe(Number.POSITIVE_INFINITY)
  expect(decodeFloat16(0xfc00)).toBe(Number.NEGATIVE_INFINITY)
  expect(decodeFloat16(0x7e00)).toBeNaN()
  // Positive float16 are ordered like their bits.
  for (let bits = 1; bits <= 0x7c00; bits++) expect(decodeFloat16(bits)).toBeGreaterThan(decodeFloat16(bits - 1))
})

test('bfloat16 is the upper half of a float32', () => {
  const view = new DataView(new ArrayBuffer(4))
  for (let bits = 0; bits < 65536; bits += 7) {
    view.setUint32(0, bits * 65536)
    expect(decodeBfloat16(bits)).toEqual(view.getFloat32(0))
  }
})

test('encodeFloat16 gives every half precision number its own bits', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = decodeFloat16(bits)
    if (Number.isNaN(value)) expect(decodeFloat16(encodeFloat16(value))).toBeNaN()
    // 0 and −0 are two numbers, for toBe as for IEEE 754.
    else if (encodeFloat16(value) !== bits) expect.fail(`${value} has bits ${bits}, got ${encodeFloat16(value)}`)
  }
})

test('encodeFloat16 rounds to the nearest, ties to even', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0x7bfe }), fc.double({ min: 0, max: 1, noNaN: true }), (bits, t) => {
      const low = decodeFloat16(bits)
      const high = decodeFloat16(bits + 1)
      const x = Math.fround(low + t * (high - low))
      const wanted = x - low < high - x ? bits : x - low > high - x ? bits + 1 : bits + (bits % 2)
      expect(encodeFloat16(x)).toBe(wanted)
      expect(encodeFloat16(-x)).toBe(wanted | 0x8000)
    }),
  )
  expect(encodeFloat16(65519.9)).toBe(0x7bff)
  expect(encodeFloat16(65520)).toBe(0x7c00)
  expect(encodeFloat16(Number.POSITIVE_INFINITY)).toBe(0x7c00)
  expect(encodeFloat16(2 ** -25)).toBe(0)
  expect(encodeFloat16(2 ** -25 * 1.001)).toBe(1)
})

test('encodeBfloat16 rounds to the nearest, ties to even', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0x7f7e }), fc.double({ min: 0, max: 1, noNaN: true }), (bits, t) => {
      const [low, high] = [decodeBfloat16(bits), decodeBfloat16(bits + 1)]
      const x = Math.fround(low + t * (high - low))
      const wanted = x - low < high - x ? bits : x - low > high - x ? bits + 1 : bits + (bits % 2)
      expect(encodeBfloat16(x)).toBe(wanted)
      expect(encodeBfloat16(-x)).toBe(wanted | 0x8000)
    }),
  )
  expect(encodeBfloat16(Number.MAX_VALUE)).toBe(0x7f80)
  expect(encodeBfloat16(3.4e38)).toBe(0x7f80)
  for (const bits of [0, 0x8000, 0x0001, 0x7f7f, 0x7f80, 0xff80])
    expect(encodeBfloat16(decodeBfloat16(bits))).toBe(bits)
  expect(decodeBfloat16(encodeBfloat16(Number.NaN))).toBeNaN()
})
