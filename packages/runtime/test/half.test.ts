import { decodeFloat16 } from '@imago/kernels'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeFloat16 } from '../src/half.js'

it('gives every half precision number its own bits', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = decodeFloat16(bits)
    if (Number.isNaN(value)) expect(decodeFloat16(encodeFloat16(value))).toBeNaN()
    // 0 and −0 are two numbers, for toBe as for IEEE 754.
    else if (encodeFloat16(value) !== bits) expect.fail(`${value} has bits ${bits}, got ${encodeFloat16(value)}`)
  }
})

it('rounds to the nearest, ties to even', () => {
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
