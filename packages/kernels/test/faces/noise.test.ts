import { restoreRng, rng, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backends, dropoutMask, jitter } from '../../src/index.js'

const seeds = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })

describe.each(backends().filter(({ available }) => available))('noise on $name', ({ name: backend }) => {
  test('dropoutMask takes 16 bits a piece of the words that the Rng would give', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.nat(40),
        fc.integer({ min: 0, max: 100 }),
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (seed, used, n, probability) => {
          const random = rng(seed)
          for (let i = 0; i < used; i++) random.uint32()
          const twin = restoreRng(random.state())
          const mask = dropoutMask({ dims: [n], probability, rng: random, backend })
          while (twin.state().position % 4 !== 0) twin.uint32()
          const t = Math.round(65536 * probability)
          const want: number[] = []
          while (want.length < n) {
            const word = twin.uint32()
            for (const bits of [word & 0xffff, word >>> 16]) want.push(bits >= t ? Math.fround(65536 / (65536 - t)) : 0)
          }
          expect([...mask.data]).toEqual(want.slice(0, n))
        },
      ),
    )
  })

  test('dropoutMask moves its Rng behind the blocks it used, so that two masks differ', () => {
    const random = rng(3)
    const first = dropoutMask({ dims: [4, 5], probability: 0.5, rng: random, backend })
    expect(first.dims).toEqual([4, 5])
    expect(random.state().position).toBe(12)
    const out = tensor('float32', [4, 5], new Float32Array(20))
    const second = dropoutMask({ out, probability: 0.5, rng: random, backend })
    expect(second.data).toBe(out.data)
    expect([...second.data]).not.toEqual([...first.data])
  })

  test('the share of dropped elements is the probability, the mean of the mask is 1', () => {
    const n = 200_000
    const { data } = dropoutMask({ dims: [n], probability: 0.2, rng: rng(11), backend })
    const dropped = data.filter((value) => value === 0).length
    // Five standard deviations of a binomial count.
    expect(Math.abs(dropped - 0.2 * n)).toBeLessThan(5 * Math.sqrt(n * 0.2 * 0.8))
    expect(Math.abs(data.reduce((a, b) => a + b, 0) / n - 1)).toBeLessThan(0.01)
  })

  test('jitter moves whole images by the shift that the Rng draws, zeros come in', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 2 }),
        fc.integer({ min: 0, max: 4 }),
        (seed, N, planes, shift) => {
          const [H, W] = [4, 5]
          const count = N * planes * H * W
          const images = tensor(
            'float32',
            [N, planes, H, W],
            Float32Array.from({ length: count }, (_, i) => i + 1),
          )
          const random = rng(seed)
          const twin = rng(seed)
          const moved = jitter({ images, shift, rng: random, backend })
          expect(random.state().position).toBe(4 * N)
          const want = Array<number>(count).fill(0)
          for (let i = 0; i < N; i++) {
            const [a, b] = [twin.uint32(), twin.uint32(), twin.uint32(), twin.uint32()] as const
            const [dx, dy] = [a, b].map((word) => Number((BigInt(word) * BigInt(2 * shift + 1)) >> 32n) - shift) as [
              number,
              number,
            ]
            for (let plane = i * planes; plane < (i + 1) * planes; plane++)
              for (let y = 0; y < H; y++)
                for (let x = 0; x < W; x++)
                  if (y + dy >= 0 && y + dy < H && x + dx >= 0 && x + dx < W)
                    want[(plane * H + y + dy) * W + x + dx] = images.data[(plane * H + y) * W + x]!
          }
          expect([...moved.data]).toEqual(want)
        },
      ),
    )
  })
})
