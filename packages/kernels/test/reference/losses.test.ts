import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { reference } from '../../src/reference/index.js'
import { gradcheck } from './gradcheck.js'

/** A row of logits, its twin, and where. */
const rows = fc.integer({ min: 2, max: 6 }).chain((classes) => {
  const row = fc.array(fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround), {
    minLength: classes,
    maxLength: classes,
  })
  return fc.record({ z: row, v: row, label: fc.integer({ min: 0, max: classes - 1 }) })
})

describe('gradients against finite differences', () => {
  test.each([0.5, 1, 4, 20])('soft_target_loss and kl_divergence, T=%d', (temperature) => {
    fc.assert(
      fc.property(rows, fc.constantFrom(0, 0.3, 1), ({ z, v, label }, hardWeight) => {
        const teacher = Float32Array.from(v)
        const labels = Int32Array.of(label)
        gradcheck((student, gradient) => {
          const result = new Float64Array(3)
          const scalars = [1, student.length, temperature, hardWeight, -100, 0]
          reference.soft_target_loss([student, teacher, labels, null, gradient, result, null], scalars)
          return result[0]!
        }, z)
        gradcheck((student, gradient) => {
          const result = new Float64Array(1)
          reference.kl_divergence([student, teacher, null, gradient, result, null], [1, student.length, temperature, 0])
          return result[0]!
        }, z)
      }),
    )
  })

  test('cross_entropy and logit_regression', () => {
    fc.assert(
      fc.property(rows, fc.constantFrom(0, 0.2, 1), ({ z, v, label }, smoothing) => {
        gradcheck((student, gradient) => {
          const result = new Float64Array(1)
          const labels = Int32Array.of(label)
          reference.cross_entropy(
            [student, labels, null, gradient, result, null, null],
            [1, student.length, smoothing, -100],
          )
          return result[0]!
        }, z)
        for (const zeroMean of [0, 1])
          gradcheck((student, gradient) => {
            const result = new Float64Array(1)
            const teacher = Float32Array.from(v)
            reference.logit_regression(
              [student, teacher, null, gradient, result, null],
              [1, student.length, zeroMean, 0],
            )
            return result[0]!
          }, z)
      }),
    )
  })
})

describe('closed forms', () => {
  const kl = (z: number[], v: number[], T: number): number => {
    const result = new Float64Array(1)
    reference.kl_divergence([Float32Array.from(z), Float32Array.from(v), null, null, result, null], [1, z.length, T, 0])
    return result[0]!
  }

  test('two classes: KL of Bernoulli distributions', () => {
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
    for (const [a, b] of [
      [0.5, -1],
      [2, 3],
      [-4, 4],
    ] as const) {
      const p = sigmoid(b)
      const q = sigmoid(a)
      const want = p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q))
      expect(kl([a, 0], [b, 0], 1)).toBeCloseTo(want, 12)
    }
  })

  test('T·T·KL tends to half the variance of z − v, to seven digits at T = 1e6 and beyond', () => {
    const z = [1, 2, 4, -3]
    const v = [0, 2.5, -1, 0]
    const d = z.map((value, c) => value - v[c]!)
    const mean = d.reduce((a, b) => a + b) / 4
    const half = d.reduce((a, b) => a + (b - mean) ** 2, 0) / 8
    // The next term of the series is of the order max|z, v|³/T.
    expect(Math.abs((1e6 * (1e6 * kl(z, v, 1e6))) / half - 1)).toBeLessThan(1e-5)
    for (const T of [1e9, 1e15, 1e30]) expect(Math.abs((T * (T * kl(z, v, T))) / half - 1)).toBeLessThan(1e-7)
  })

  test('T → 0: KL·T tends to the gap of the student between its best class and the teacher’s', () => {
    expect(1e-10 * kl([3, 1, 0], [0, 5, 1], 1e-10)).toBeCloseTo(2, 9)
    expect(1e-38 * kl([3, 1, 0], [0, 5, 1], 1e-38)).toBeCloseTo(2, 9)
  })

  test('uniform student: cross entropy log C, whatever the smoothing', () => {
    for (const smoothing of [0, 0.3, 1]) {
      const result = new Float64Array(1)
      reference.cross_entropy(
        [new Float32Array(7), Int32Array.of(2), null, null, result, null, null],
        [1, 7, smoothing, -100],
      )
      expect(result[0]).toBeCloseTo(Math.log(7), 12)
    }
  })

  test('a sure student keeps the digits of its tiny loss: −log q = log(1 + e^−50)', () => {
    const result = new Float64Array(1)
    const gradient = new Float32Array(2)
    reference.cross_entropy(
      [Float32Array.of(50, 0), Int32Array.of(0), null, gradient, result, null, null],
      [1, 2, 0, -100],
    )
    expect(result[0]! / Math.exp(-50)).toBeCloseTo(1, 12)
    expect(gradient[0]! / -Math.exp(-50)).toBeCloseTo(1, 6)
  })

  test('logit regression: ½·Σ d², and ½·Σ (d − mean)² with zeroMean', () => {
    const buffers = [Float32Array.of(1, 2, 6), Float32Array.of(0, 0, 0), null, new Float32Array(3)] as const
    const result = new Float64Array(1)
    reference.logit_regression([...buffers, result, null], [1, 3, 0, 0])
    expect(result[0]).toBe(20.5)
    expect([...buffers[3]]).toEqual([1, 2, 6])
    reference.logit_regression([...buffers, result, null], [1, 3, 1, 0])
    expect(result[0]).toBe(7)
    expect([...buffers[3]]).toEqual([-2, -1, 3])
  })

  test('smoothing of a class without mass is a loss of ∞', () => {
    const result = new Float64Array(1)
    const student = Float32Array.of(0, Number.NEGATIVE_INFINITY)
    reference.cross_entropy([student, Int32Array.of(0), null, null, result, null, null], [1, 2, 0, -100])
    expect(result[0]).toBe(0)
    reference.cross_entropy([student, Int32Array.of(0), null, null, result, null, null], [1, 2, 0.1, -100])
    expect(result[0]).toBe(Number.POSITIVE_INFINITY)
  })
})
