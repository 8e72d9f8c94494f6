import { clone, StateError, type TensorMap, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { exponentialMovingAverage } from '../src/index.js'

const weights = (...values: number[]): TensorMap => ({
  w: tensor('float32', [values.length], Float32Array.from(values)),
})
const numbers = ({ w }: TensorMap): number[] => [...(w!.data as Float32Array)]
const value = fc.integer({ min: -1000, max: 1000 }).map((x) => x / 100)

describe('exponentialMovingAverage', () => {
  test('after n updates it is dⁿ⁻¹·w₁ + Σ (1 − d)·dⁿ⁻ⁱ·wᵢ', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.array(value, { minLength: 1, maxLength: 20 }),
        (d, xs) => {
          const moving = exponentialMovingAverage({ decay: d })
          for (const x of xs) moving.update(weights(x, -x))
          const n = xs.length
          const want = xs.reduce((sum, x, i) => sum + (i === 0 ? 1 : 1 - d) * d ** (n - 1 - i) * Math.fround(x), 0)
          const [first, second] = numbers(moving.average)
          expect(Math.abs(first! - want)).toBeLessThan(1e-5)
          expect(second).toBeCloseTo(-first!, 5)
        },
      ),
    )
  })

  test('weights that stand still are the average, to the bit, for ever', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.9, max: 1, noNaN: true }), value, (decay, x) => {
        const moving = exponentialMovingAverage({ decay })
        for (let i = 0; i < 50; i++) moving.update(weights(x))
        expect(numbers(moving.average)).toEqual([Math.fround(x)])
      }),
    )
  })

  test('warmUp: update t takes min(d, (1 + t)/(10 + t))', () => {
    const moving = exponentialMovingAverage({ decay: 0.3, warmUp: true })
    let want = 1
    for (let t = 0; t < 6; t++) {
      const x = t === 0 ? 1 : t
      moving.update(weights(x))
      const d = Math.min(0.3, (1 + t) / (10 + t))
      if (t > 0) want = d * want + (1 - d) * x
      expect(numbers(moving.average)[0]).toBeCloseTo(want, 5)
    }
  })

  test('it has memory of its own, the same throughout; saved and restored, it goes on bit for bit', () => {
    const moving = exponentialMovingAverage({ decay: 0.7, warmUp: true })
    const w = weights(1, 2)
    moving.update(w)
    const { average } = moving
    ;(w.w!.data as Float32Array).fill(9)
    expect(numbers(average)).toEqual([1, 2])
    moving.update(w)
    expect(moving.average).toBe(average)
    const saved = { updates: moving.state().updates, average: { w: clone(average.w!) } }
    const twin = exponentialMovingAverage({ decay: 0.7, warmUp: true })
    twin.restore(saved)
    for (const one of [moving, twin]) one.update(weights(-3, 0.1))
    expect(numbers(twin.average)).toEqual(numbers(moving.average))
    expect(numbers(saved.average)).not.toEqual(numbers(moving.average))
  })

  test('other parameters, a decay that is none, a broken state', () => {
    const moving = exponentialMovingAverage()
    moving.update(weights(1, 2))
    for (const other of [weights(1), {}, { ...weights(1, 2), b: weights(1).w! }])
      expect(() => moving.update(other)).toThrow(StateError)
    expect(numbers(moving.average)).toEqual([1, 2])
    for (const decay of [-0.1, 1.1, Number.NaN]) expect(() => exponentialMovingAverage({ decay })).toThrow(/decay/)
    expect(() => moving.restore({ updates: -1, average: {} })).toThrow(StateError)
  })
})
