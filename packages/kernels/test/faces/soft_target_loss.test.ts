import { rng, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { softTargetLoss } from '../../src/index.js'

const situation = fc.record({
  seed: fc.nat(),
  rows: fc.integer({ min: 1, max: 5 }),
  classes: fc.integer({ min: 1, max: 150 }),
  temperature: fc.constantFrom(0.5, 1, 3, 20),
  hardWeight: fc.constantFrom(0, 0.1, 0.5, 1),
})

const logSoftmax = (x: ArrayLike<number>, temperature = 1): Float64Array => {
  const scaled = Float64Array.from(x, (v) => v / temperature)
  const most = Math.max(...scaled)
  const log = Math.log(scaled.reduce((sum, v) => sum + Math.exp(v - most), 0))
  return scaled.map((v) => v - most - log)
}

/** The loss as it is written, one row after the other in float64. */
function written(student: Float32Array, teacher: Float32Array, target: Float32Array, weights: Float32Array, s: Shape) {
  const { classes, temperature: T, hardWeight: a } = s
  const total = weights.reduce((sum, w) => sum + w, 0)
  let soft = 0
  let hard = 0
  const gradient = new Float64Array(student.length)
  for (let r = 0; r < weights.length; r++) {
    const row = (x: Float32Array): Float32Array => x.subarray(r * classes, (r + 1) * classes)
    const share = weights[r]! / total
    const [logP, logQ, logHard] = [logSoftmax(row(teacher), T), logSoftmax(row(student), T), logSoftmax(row(student))]
    const targets = row(target).reduce((sum, t) => sum + t, 0)
    for (let c = 0; c < classes; c++) {
      const [p, q, t] = [Math.exp(logP[c]!), Math.exp(logQ[c]!), row(target)[c]!]
      soft += share * T * T * p * (logP[c]! - logQ[c]!)
      hard -= share * t * logHard[c]!
      gradient[r * classes + c] = share * ((1 - a) * T * (q - p) + a * (Math.exp(logHard[c]!) * targets - t))
    }
  }
  return { value: (1 - a) * soft + a * hard, soft, hard, gradient }
}
type Shape = { rows: number; classes: number; temperature: number; hardWeight: number }

describe('soft targets beside a distribution', () => {
  test.each(['new', 'given', 'in place'])('value, parts and gradient are the formula, memory %s', (place) => {
    fc.assert(
      fc.property(situation, (s) => {
        const random = rng(s.seed)
        const n = s.rows * s.classes
        const normals = (): Float32Array => Float32Array.from({ length: n }, () => 3 * random.normal())
        const [z, v, raw] = [normals(), normals(), normals()]
        const t = new Float32Array(n)
        for (let r = 0; r < s.rows; r++)
          t.set(logSoftmax(raw.subarray(r * s.classes, (r + 1) * s.classes)).map(Math.exp), r * s.classes)
        const weights = Float32Array.from({ length: s.rows }, (_, r) => 0.5 + r)
        const expected = written(z, v, t, weights, s)
        const dims = [s.rows, s.classes]
        const student = tensor('float32', dims, z)
        const out = place === 'in place' ? student : place === 'given' ? tensor('float32', dims, normals()) : undefined
        const got = softTargetLoss({
          student,
          teacher: tensor('float32', dims, v),
          distribution: tensor('float32', dims, t),
          rowWeights: tensor('float32', [s.rows], weights),
          temperature: s.temperature,
          hardWeight: s.hardWeight,
          out,
        })
        const scale = 1 + s.temperature ** 2
        for (const part of ['value', 'soft', 'hard'] as const)
          expect(Math.abs(got[part] - expected[part])).toBeLessThan(2e-6 * (Math.abs(expected[part]) + scale))
        got.gradient.data.forEach((g, i) => {
          expect(Math.abs(g - expected.gradient[i]!)).toBeLessThan(1e-6 * (1 + s.temperature))
        })
      }),
      { numRuns: 60 },
    )
  })

  test('labels and a distribution together are refused, and neither where the hard term counts', () => {
    const x = tensor('float32', [1, 2], Float32Array.of(1, 2))
    const options = { student: x, teacher: x, temperature: 1, hardWeight: 0.5 }
    const labels = tensor('int32', [1], Int32Array.of(1))
    const distribution = tensor('float32', [1, 2], Float32Array.of(0.25, 0.75))
    expect(() => softTargetLoss({ ...options, labels, distribution })).toThrow(
      /"distribution" must be left out where there are labels/,
    )
    expect(() => softTargetLoss(options)).toThrow(/"labels" must be given where hardWeight > 0, or a distribution/)
    const wrong = tensor('float32', [1, 2], Float32Array.of(0.25, 0.25))
    expect(() => softTargetLoss({ ...options, distribution: wrong })).toThrow(/row 0/)
  })
})
