import { decodeBfloat16 } from '@imago/kernels'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

const harness = (name: string) => import(new URL(`../../bench/harness/${name}.mjs`, import.meta.url).href)
const { judge } = await harness('judge')
const { quantile } = await harness('statistics')
const { apart, toBfloat16 } = await harness('numbers')
const { tables, tally } = await harness('report')

const times = fc.array(fc.double({ min: 0.01, max: 100, noNaN: true }), { minLength: 5, maxLength: 15 })

describe('what the bench concludes', () => {
  test('a rival that is always k times as slow makes ×k, met where at most that is asked', () => {
    fc.assert(
      fc.property(
        times,
        fc.double({ min: 0.1, max: 50, noNaN: true }),
        fc.double({ min: 0.1, max: 50, noNaN: true }),
        (ours, k, atLeast) => {
          const rounds = { imago: ours, 'torch gv': ours.map((x) => k * x) }
          const comparison = { of: 'imago', than: 'torch gv' }
          const [found] = judge({ comparisons: [comparison] }, { asked: [{ ...comparison, atLeast }] }, rounds)
          expect(found.median).toBeCloseTo(k, 9)
          if (Math.abs(k - atLeast) > 1e-6) expect(found.met).toBe(k > atLeast)
        },
      ),
    )
  })

  test('the best of several rivals counts', () => {
    fc.assert(
      fc.property(
        times,
        fc.uniqueArray(fc.integer({ min: 2, max: 60 }), { minLength: 1, maxLength: 6 }),
        (ours, factors) => {
          const rounds: { [name: string]: number[] } = { imago: ours }
          for (const k of factors) rounds[`torch ${k}`] = ours.map((x) => k * x)
          const [found] = judge({ comparisons: [{ of: 'imago', than: 'torch' }] }, {}, rounds)
          expect(found.rival).toBe(`torch ${Math.min(...factors)}`)
          expect(found.median).toBeCloseTo(Math.min(...factors), 9)
        },
      ),
    )
  })

  test('a difference is judged by what it may be at most', () => {
    const comparison = { of: 'imago', minus: 'C++' }
    const rounds = { imago: [3, 5, 4], 'C++': [1, 2, 3] }
    const of = (atMost: number) =>
      judge({ comparisons: [comparison] }, { asked: [{ ...comparison, atMost }] }, rounds)[0]
    expect(of(2)).toMatchObject({ median: 2, met: true })
    expect(of(1.9)).toMatchObject({ met: false })
  })

  test('what nobody ran is not judged, and neither met nor missed', () => {
    const comparison = { of: 'imago', than: 'torch gv' }
    const settings = { asked: [{ ...comparison, atLeast: 20 }] }
    const verdicts = judge({ comparisons: [comparison] }, settings, { imago: [1, 2, 3] })
    const result = { row: 'loss', case: '(1, 2)', threads: 1, milliseconds: {}, verdicts }
    expect(tally([result])).toMatchObject({ met: [], missed: [], unjudged: [{ name: '× torch gv' }] })
    const [, compared] = tables({ title: 'loss', contenders: [], comparisons: [comparison] }, [result])
    expect(compared.lines[0].at(-1)).toBe('– (≥ 20: not judged)')
  })
})

describe('numbers', () => {
  test('quantiles lie within and are ordered', () => {
    fc.assert(
      fc.property(times, (values) => {
        const found = [0, 0.1, 0.5, 0.9, 1].map((q) => quantile(values, q))
        expect(found[0]).toBe(Math.min(...values))
        expect(found.at(-1)).toBe(Math.max(...values))
        expect(found).toEqual([...found].sort((a, b) => a - b))
      }),
    )
  })

  test('bfloat16 is the nearest, within half a unit of 8 bits', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, min: 2 ** -100, max: 2 ** 100 }), (x) => {
        const [bits] = toBfloat16(Float32Array.of(x))
        expect(Math.abs(decodeBfloat16(bits) - x)).toBeLessThanOrEqual(Math.abs(x) * 2 ** -8)
      }),
    )
  })

  test('arrays that differ in length or hold what is no number are infinitely far apart', () => {
    expect(apart([1, 2], [1])).toBe(Number.POSITIVE_INFINITY)
    expect(apart([1, Number.NaN], [1, 2])).toBe(Number.POSITIVE_INFINITY)
    expect(apart([1, 2], [1, 2.5])).toBeCloseTo(0.2)
  })
})
