import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { eliasFanoBits, readEliasFano, writeEliasFano } from '../../src/store/elias-fano.js'

/** k classes of n in ascending order, from bit 3 of some bytes on. */
const chosen = fc
  .tuple(fc.integer({ min: 1, max: 2 ** 22 }), fc.integer({ min: 1, max: 200 }), fc.integer({ min: 0, max: 40 }))
  .chain(([n, most, at]) =>
    fc.record({
      n: fc.constant(n),
      at: fc.constant(at),
      classes: fc
        .uniqueArray(fc.integer({ min: 0, max: n - 1 }), { minLength: 1, maxLength: Math.min(n, most) })
        .map((classes) => classes.sort((a, b) => a - b)),
    }),
  )

describe('classes by Elias and Fano', () => {
  test('come back as they were, from any bit on, and touch no bit beside theirs', () => {
    fc.assert(
      fc.property(chosen, ({ n, classes, at }) => {
        const bits = eliasFanoBits(classes.length, n)
        const bytes = new Uint8Array(Math.ceil((at + bits) / 8) + 2)
        writeEliasFano(bytes, at, classes, n)
        const ones = bytes.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
        const out = new Int32Array(classes.length + 1).fill(-7)
        expect(readEliasFano(bytes, at, classes.length, n, out, 1)).toBe(true)
        expect([...out]).toEqual([-7, ...classes])
        bytes.fill(0, 0, Math.floor(at / 8))
        bytes.fill(0, Math.ceil((at + bits) / 8))
        expect(bytes.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)).toBe(ones)
      }),
      { numRuns: 300 },
    )
  })

  test('take at most 2 bits a class, and 1 in all, more than the entropy of k of n', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1024 }), fc.integer({ min: 1, max: 500_000 }), (k, more) => {
        const n = k + more
        // ln (n choose k) as a sum, not by us.
        let entropy = 0
        for (let i = 1; i <= k; i++) entropy += Math.log2((n - k + i) / i)
        const bits = eliasFanoBits(k, n)
        expect(bits).toBeGreaterThanOrEqual(entropy - 1e-6)
        expect(bits).toBeLessThanOrEqual(entropy + 2 * k + 1 + Math.log2(k + 1))
      }),
    )
  })

  test('of the sizes that the guide names', () => {
    expect(eliasFanoBits(128, 1000)).toBe(634)
    expect(eliasFanoBits(128, 128_256)).toBe(1531)
    expect(eliasFanoBits(10, 10)).toBe(0)
  })

  test('bits that nobody wrote are refused, or are k other classes: never a class that is none', () => {
    fc.assert(
      fc.property(chosen, fc.nat(), ({ n, classes }, flip) => {
        const bits = eliasFanoBits(classes.length, n)
        fc.pre(bits > 0)
        const bytes = new Uint8Array(Math.ceil(bits / 8))
        writeEliasFano(bytes, 0, classes, n)
        const bit = flip % bits
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        const out = new Int32Array(classes.length)
        if (!readEliasFano(bytes, 0, classes.length, n, out, 0)) return
        expect([...out]).not.toEqual(classes)
        for (const [i, c] of out.entries()) expect(c >= 0 && c < n && (i === 0 || c > out[i - 1]!)).toBe(true)
      }),
    )
  })
})
