import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { spectrum } from '../../src/index.js'

/** |Σ x_n e^(−2πi·kn/N)|², as it is defined. */
function naive(frame: readonly number[], size: number): number[] {
  return Array.from({ length: size / 2 + 1 }, (_, k) => {
    let [re, im] = [0, 0]
    frame.forEach((x, n) => {
      re += x * Math.cos((2 * Math.PI * k * n) / size)
      im -= x * Math.sin((2 * Math.PI * k * n) / size)
    })
    return re * re + im * im
  })
}

describe('spectrum', () => {
  it('is that of the definition, for frames as long as the transform and shorter', () => {
    const frames = fc
      .integer({ min: 1, max: 7 })
      .chain((bits) =>
        fc.tuple(
          fc.constant(2 ** bits),
          fc.array(fc.double({ min: -1e4, max: 1e4, noNaN: true }), { maxLength: 2 ** bits }),
        ),
      )
    fc.assert(
      fc.property(frames, ([size, frame]) => {
        const expected = naive(frame, size)
        const scale = frame.reduce((sum, x) => sum + Math.abs(x), 0) ** 2
        const power = spectrum(size).power(frame)
        expect(power.length).toBe(expected.length)
        expected.forEach((value, k) => {
          expect(Math.abs(power[k]! - value)).toBeLessThanOrEqual(1e-12 * scale)
        })
      }),
    )
  })

  it('is used again without a trace of the frame before', () => {
    const { power } = spectrum(8)
    const first = power([1, 2, 3]).slice()
    power([9, 9, 9, 9, 9, 9, 9, 9])
    expect(power([1, 2, 3])).toEqual(first)
  })

  it('refuses sizes that are no powers of two and frames that are too long', () => {
    for (const size of [0, 1, 3, 12, 2.5, Number.NaN]) expect(() => spectrum(size)).toThrow(/power of two/)
    expect(() => spectrum(4).power([1, 2, 3, 4, 5])).toThrow(/at most 4 samples/)
  })
})
