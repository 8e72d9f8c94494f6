import { compareRow, expm1Minus } from './compare-row.js'

/**
 * One row: p = softmax(teacher/T), q = softmax(student/T). Returns KL(p ‖ q) in nats and writes q − p.
 *
 * The formula is Σ p·log(p/q), written with u = log(q/p) as Σ p·(eᵘ − 1 − u): the two differ by Σ q − Σ p = 0, but here no term
 * is negative.
 */
export function divergenceRow(
  student: Float32Array | Float64Array,
  teacher: Float32Array | Float64Array,
  temperature: number,
  difference: Float64Array,
): number {
  const { p, q, u } = compareRow(student, teacher, temperature)
  let divergence = 0
  for (let c = 0; c < p.length; c++) {
    difference[c] = massDifference(p[c]!, q[c]!, u[c]!)
    divergence += divergenceTerm(p[c]!, q[c]!, u[c]!)
  }
  return divergence
}

/** p·log(p/q) + q − p of one class, u = log(q/p). 0·log 0 = 0: a class without mass of p only adds q. */
export function divergenceTerm(p: number, q: number, u: number): number {
  if (p === 0) return q
  return Math.abs(u) > 1 ? q - p - p * u : p * expm1Minus(u)
}

/** q − p of one class, u = log(q/p). */
export function massDifference(p: number, q: number, u: number): number {
  return p === 0 || u > 1 ? q - p : p * Math.expm1(u)
}
