import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Block, philox } from '../src/index.js'

describe('Philox 4x32-10', () => {
  // The known-answer vectors of Random123 (D. E. Shaw Research), tests/kat_vectors, lines "philox4x32 10".
  test.each<[Block, number, number, Block]>([
    [[0, 0, 0, 0], 0, 0, [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      0xffffffff,
      0xffffffff,
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      0xa4093822,
      0x299f31d0,
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('counter %o', (counter, k0, k1, want) => {
    expect(philox(counter, k0, k1)).toEqual([...want])
  })

  test('is the formula of the paper in 64-bit arithmetic', () => {
    const word = fc.integer({ min: 0, max: 0xffffffff })
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), word, word, (counter, k0, k1) => {
        const low = (x: bigint) => x & 0xffffffffn
        let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint]
        let [x, y] = [BigInt(k0), BigInt(k1)]
        for (let round = 0; round < 10; round++) {
          const p = 0xd2511f53n * a
          const q = 0xcd9e8d57n * c
          ;[a, b, c, d] = [(q >> 32n) ^ b ^ x, low(q), (p >> 32n) ^ d ^ y, low(p)]
          x = low(x + 0x9e3779b9n)
          y = low(y + 0xbb67ae85n)
        }
        expect(philox(counter, k0, k1)).toEqual([a, b, c, d].map(Number))
      }),
      { numRuns: 2000 },
    )
  })
})
