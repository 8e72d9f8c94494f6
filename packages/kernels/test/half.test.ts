import { expect, test } from 'vitest'
import { decodeBfloat16, decodeFloat16 } from '../src/half.js'

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
