import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ArgumentError, permutation, philox, type Rng, restoreRng, rng } from '../src/index.js'

const seeds = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const words = (random: Rng, count: number): number[] => Array.from({ length: count }, () => random.uint32())

/** Pearson's statistic of counts against equal expectation. */
function chiSquare(counts: ArrayLike<number>): number {
  const list = Array.from(counts)
  const expected = list.reduce((a, b) => a + b, 0) / list.length
  return list.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

/** Above this a chi-square with k degrees of freedom comes with probability below 1e-6 (Wilson & Hilferty 1931, z = 4.75). */
function limit(k: number): number {
  return k * (1 - 2 / (9 * k) + 4.75 * Math.sqrt(2 / (9 * k))) ** 3
}

describe('words', () => {
  test('are the Philox blocks of the seed in order', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const key = [Number(seed & 0xffffffffn), Number(seed >> 32n)] as const
        const want = [0, 1, 2].flatMap((block) => philox([block, 0, 0, 0], ...key))
        expect(words(rng(seed), 12)).toEqual(want)
      }),
    )
  })

  test('a number and the same bigint are the same seed; others are refused', () => {
    expect(words(rng(123456789012), 4)).toEqual(words(rng(123456789012n), 4))
    for (const seed of [-1, 1.5, Number.NaN, 2 ** 53, -1n, 2n ** 64n]) expect(() => rng(seed)).toThrow(ArgumentError)
  })

  test('the counter passes 2³² blocks', () => {
    const random = restoreRng({ key: [5, 6], position: 4 * 2 ** 32 - 4 })
    expect(words(random, 8)).toEqual([...philox([0xffffffff, 0, 0, 0], 5, 6), ...philox([0, 1, 0, 0], 5, 6)])
  })
})

describe('state', () => {
  test('restores at every position, through JSON', () => {
    fc.assert(
      fc.property(seeds, fc.nat(50), (seed, used) => {
        const random = rng(seed)
        words(random, used)
        const twin = restoreRng(JSON.parse(JSON.stringify(random.state())))
        expect(words(twin, 9)).toEqual(words(random, 9))
        expect(twin.state()).toEqual(random.state())
        expect(twin.normal()).toBe(random.normal())
      }),
    )
  })

  test('reserve hands out whole blocks that the generator then skips', () => {
    fc.assert(
      fc.property(seeds, fc.nat(20), fc.nat(5), (seed, used, count) => {
        const random = rng(seed)
        words(random, used)
        const { key, block } = random.reserve(count)
        expect(block).toBe(Math.ceil(used / 4))
        expect(random.state().position).toBe(4 * (block + count))
        expect(random.uint32()).toBe(philox([block + count, 0, 0, 0], ...key)[0])
      }),
    )
  })

  test('split moves nothing, is named by its label, and is another stream', () => {
    fc.assert(
      fc.property(seeds, fc.string(), fc.string(), (seed, a, b) => {
        const random = rng(seed)
        const before = random.state()
        const first = words(random.split(a), 4)
        expect(random.state()).toEqual(before)
        words(random, 7)
        expect(words(random.split(a), 4)).toEqual(first)
        expect(first).not.toEqual(words(rng(seed), 4))
        if (a !== b) expect(words(random.split(b), 4)).not.toEqual(first)
        expect(words(random.split(a).split(b), 4)).not.toEqual(first)
      }),
    )
  })

  test('ten thousand numbered children have ten thousand keys', () => {
    const random = rng(1)
    const keys = new Set<string>()
    for (let i = 0; i < 10_000; i++) keys.add(random.split(i).state().key.join())
    expect(keys.size).toBe(10_000)
  })
})

describe('distributions', () => {
  test.each([1, 2, 3, 6, 10, 97])('integer(%d) is even over its range', (bound) => {
    const random = rng(42).split(bound)
    const counts = new Uint32Array(bound)
    for (let i = 0; i < 20_000; i++) counts[random.integer(bound)]!++
    if (bound > 1) expect(chiSquare(counts)).toBeLessThan(limit(bound - 1))
    else expect(counts[0]).toBe(20_000)
  })

  test('integer is without bias where a plain remainder would be off by half: bound 3·2³⁰', () => {
    // word mod 3·2³⁰ would hit the lowest third twice as often.
    const random = rng(7)
    const counts = [0, 0, 0]
    for (let i = 0; i < 30_000; i++) counts[Math.floor(random.integer(3 * 2 ** 30) / 2 ** 30)]!++
    expect(chiSquare(counts)).toBeLessThan(limit(2))
  })

  test('integer takes bounds up to 2³² and refuses the rest', () => {
    expect(rng(3).integer(2 ** 32)).toBe(rng(3).uint32())
    for (const bound of [0, -1, 1.5, Number.NaN, 2 ** 32 + 1])
      expect(() => rng(1).integer(bound)).toThrow(ArgumentError)
  })

  test('uniform is in [0, 1) and even', () => {
    const random = rng(9)
    const counts = new Uint32Array(64)
    for (let i = 0; i < 50_000; i++) {
      const u = random.uniform()
      // Outside [0, 1) there is no counter, and the sum below falls short.
      if (u >= 0) counts[Math.floor(u * 64)]!++
    }
    expect(counts.reduce((a, b) => a + b)).toBe(50_000)
    expect(chiSquare(counts)).toBeLessThan(limit(63))
  })

  test('normal has the moments of a standard normal and is finite', () => {
    const random = rng(10)
    const n = 100_000
    const moments = [0, 0, 0, 0]
    for (let i = 0; i < n; i++) {
      const x = random.normal()
      for (let k = 0; k < 4; k++) moments[k]! += x ** (k + 1) / n
    }
    // Five standard errors: the variance of x, x², x³, x⁴ is 1, 2, 15, 96.
    for (const [k, [mean, variance]] of (
      [
        [0, 1],
        [1, 2],
        [0, 15],
        [3, 96],
      ] as const
    ).entries())
      expect(Math.abs(moments[k]! - mean)).toBeLessThan(5 * Math.sqrt(variance / n))
  })

  test('permutation is one, and each of the 24 orders of four comes as often', () => {
    const random = rng(11)
    const counts: { [order: string]: number } = {}
    for (let i = 0; i < 24_000; i++) {
      const order = permutation(random, 4)
      counts[order.join()] = (counts[order.join()] ?? 0) + 1
    }
    expect(Object.keys(counts)).toHaveLength(24)
    for (const order of Object.keys(counts)) expect(order.split(',').sort().join()).toBe('0,1,2,3')
    expect(chiSquare(Object.values(counts))).toBeLessThan(limit(23))
    expect(permutation(random, 0)).toHaveLength(0)
  })
})

test.each([
  {},
  { key: [1], position: 0 },
  { key: [1, 2 ** 32], position: 0 },
  { key: [1, 0.5], position: 0 },
  { key: ['1', 2], position: 0 },
  { key: [1, 2], position: -1 },
  { key: [1, 2], position: 1e308 },
])('%j is no state of a generator', (state) => {
  expect(() => restoreRng(state as never)).toThrow(ArgumentError)
})

test.each([-1, 0.5, Number.NaN])('%d blocks cannot be set aside', (count) => {
  expect(() => rng(1).reserve(count)).toThrow(ArgumentError)
})
