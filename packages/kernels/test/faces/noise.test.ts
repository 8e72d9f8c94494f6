import { restoreRng, rng, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backends, dropout, dropoutMask, gaussianNoise, jitter } from '../../src/index.js'

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

  test('dropout is x times the mask of the same generator, in place too; what is dropped is 0 even where it was infinite', () => {
    fc.assert(
      fc.property(seeds, fc.nat(200), fc.double({ min: 0, max: 0.99, noNaN: true }), (seed, n, probability) => {
        const mask = dropoutMask({ dims: [n], probability, rng: rng(seed), backend })
        const x = tensor('float32', [n], new Float32Array(n).fill(Number.POSITIVE_INFINITY))
        for (let i = 0; i < n; i++) if (mask.data[i] !== 0) x.data[i] = i - 7.5
        const random = rng(seed)
        const y = dropout({ x, probability, rng: random, backend })
        expect(random.state().position).toBe(4 * Math.ceil(n / 8))
        for (let i = 0; i < n; i++) {
          const want = mask.data[i] === 0 ? 0 : mask.data[i]! * (i - 7.5)
          expect(Math.abs(y.data[i]! - want)).toBeLessThanOrEqual(2e-7 * Math.abs(want))
        }
        expect(dropout({ x, out: x, probability, rng: rng(seed), backend }).data).toBe(x.data)
        expect([...x.data]).toEqual([...y.data])
      }),
    )
  })

  test('gaussianNoise is Box and Muller on the words that the Rng would give', () => {
    fc.assert(
      fc.property(seeds, fc.nat(70), fc.double({ min: 0.01, max: 3, noNaN: true }), (seed, n, sigma) => {
        const twin = rng(seed)
        const random = rng(seed)
        const { data } = gaussianNoise({ dims: [n], sigma, rng: random, backend })
        expect(random.state().position).toBe(4 * Math.ceil(n / 4))
        for (let i = 0; i < n; i += 2) {
          const radius = sigma * Math.sqrt(-2 * Math.log((twin.uint32() + 0.5) / 2 ** 32))
          const angle = (2 * Math.PI * twin.uint32()) / 2 ** 32
          expect(Math.abs(data[i]! - radius * Math.cos(angle))).toBeLessThan(1e-6 * radius)
          if (i + 1 < n) expect(Math.abs(data[i + 1]! - radius * Math.sin(angle))).toBeLessThan(1e-6 * radius)
        }
      }),
    )
  })

  test('gaussianNoise has the moments of the normal distribution and its tails', () => {
    const n = 200_000
    const { data } = gaussianNoise({ dims: [n], sigma: 1, rng: rng(5), backend })
    const mean = (f: (z: number) => number): number => data.reduce((sum, z) => sum + f(z), 0) / n
    // E zᵏ of a standard normal number, within five standard errors √(Var zᵏ / n).
    for (const [k, want, variance] of [
      [1, 0, 1],
      [2, 1, 2],
      [3, 0, 15],
      [4, 3, 96],
    ] as const)
      expect(Math.abs(mean((z) => z ** k) - want)).toBeLessThan(5 * Math.sqrt(variance / n))
    // P(|z| < 1) and P(|z| > 3) = 0.0026998; neighbours are independent.
    const near = mean((z) => (Math.abs(z) < 1 ? 1 : 0))
    expect(Math.abs(near - 0.6826895)).toBeLessThan(5 * Math.sqrt((0.68 * 0.32) / n))
    const far = mean((z) => (Math.abs(z) > 3 ? 1 : 0))
    expect(Math.abs(far - 0.0026998)).toBeLessThan(5 * Math.sqrt(0.0027 / n))
    let product = 0
    for (let i = 1; i < n; i++) product += data[i]! * data[i - 1]!
    expect(Math.abs(product / n)).toBeLessThan(5 / Math.sqrt(n))
  })

  test('gaussianNoise adds to x, in place too, takes its dims from what it gets, and refuses what is no σ', () => {
    const x = tensor('float32', [3, 5], new Float32Array(15).fill(10))
    const noise = gaussianNoise({ dims: [3, 5], sigma: 0.5, rng: rng(9), backend })
    const sum = gaussianNoise({ x, sigma: 0.5, rng: rng(9), backend })
    expect(sum.dims).toEqual([3, 5])
    for (let i = 0; i < 15; i++) expect(sum.data[i]).toBeCloseTo(10 + noise.data[i]!, 5)
    expect(gaussianNoise({ x, out: x, sigma: 0.5, rng: rng(9), backend }).data).toBe(x.data)
    expect([...x.data]).toEqual([...sum.data])
    expect([...gaussianNoise({ x, sigma: 0, rng: rng(9), backend }).data]).toEqual([...x.data])
    for (const sigma of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => gaussianNoise({ x, sigma, rng: rng(9), backend })).toThrow(/"sigma"/)
    expect(() => gaussianNoise({ sigma: 1, rng: rng(9), backend })).toThrow(/"dims"/)
    expect(() => gaussianNoise({ x, dims: [15], sigma: 1, rng: rng(9), backend })).toThrow(/"x"/)
    const half = tensor('float32', [3, 4], x.data.subarray(1, 13))
    const whole = tensor('float32', [3, 4], x.data.subarray(0, 12))
    expect(() => gaussianNoise({ x: half, out: whole, sigma: 1, rng: rng(9), backend })).toThrow(/apart/)
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
