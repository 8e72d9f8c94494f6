import type { KernelOf } from '../signatures.js'
import { compareRow, throughSoftmax } from './compare-row.js'
import { divergenceTerm } from './divergence-row.js'
import { eachRow } from './rows.js'

/**
 * value = Σ w·KL(softmax(z/T) ‖ softmax(v/T)) / Σ w = Σ w·Σ q·log(q/p) / Σ w, and dvalue/dz from dKL/dq = log(q/p) + 1.
 * Where the teacher excludes (−∞) classes to which the student gives mass, KL is ∞ and the gradient is that of this mass: with
 * log p → −∞ nothing else counts.
 */
export const reverseKl: KernelOf<'reverse_kl'> = (
  [student, teacher, rowWeights, gradient, result, classMask],
  [rows, classes, temperature, teacherType],
) => {
  const inputs = { student, teacher, teacherType, rowWeights, classMask }
  let value = 0
  eachRow({ rows, classes, ...inputs, gradient, expect: 'softmax' }, ({ share, z, v, gradient: out }) => {
    const { p, q, u } = compareRow(z, v, temperature)
    const excludes = u.some((ratio, c) => ratio === Number.POSITIVE_INFINITY && q[c]! > 0)
    const slope = u.map((ratio) => (excludes ? Number(ratio === Number.POSITIVE_INFINITY) : ratio))
    for (let c = 0; c < z.length; c++) value += share * divergenceTerm(q[c]!, p[c]!, -u[c]!)
    throughSoftmax(q, slope, temperature, out)
  })
  result[0] = value
}
