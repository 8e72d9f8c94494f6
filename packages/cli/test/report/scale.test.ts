import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { scale } from '../../src/report/scale.js'

describe('scale', () => {
  it('covers every value with few ticks, evenly spaced', () => {
    const value = fc.double({ min: -1e9, max: 1e9, noNaN: true })
    fc.assert(
      fc.property(value, value, (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)]
        const map = scale(low, high, 0, 100)
        const slack = 1e-6 * Math.max(1e-190, Math.abs(low), Math.abs(high))
        expect(map.ticks[0]!).toBeLessThanOrEqual(low + slack)
        expect(map.ticks.at(-1)!).toBeGreaterThanOrEqual(high - slack)
        expect(map.ticks.length).toBeLessThanOrEqual(12)
      }),
    )
  })
})
