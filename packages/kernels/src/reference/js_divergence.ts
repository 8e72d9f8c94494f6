import type { KernelOf } from '../signatures.js'
import { compareRow, expm1Minus, throughSoftmax } from './compare-row.js'
import { eachRow } from './rows.js'

/**
 * value = Σ w·[β·KL(p ‖ m) + (1 − β)·KL(q ‖ m)] / Σ w with m = β·p + (1 − β)·q, and dvalue/dz from
 * dJSD/dq = (1 − β)·log(q/m). With a = log(m/p), KL(p ‖ m) = Σ p·(eᵃ − 1 − a): Σ p = Σ m, and no term is negative.
 */
export const jsDivergence: KernelOf<'js_divergence'> = (
  [student, teacher, rowWeights, gradient, result, classMask],
  [rows, classes, temperature, beta, teacherType],
) => {
  const inputs = { student, teacher, teacherType, rowWeights, classMask }
  let value = 0
  eachRow({ rows, classes, ...inputs, gradient, expect: 'softmax' }, ({ share, z, v, gradient: out }) => {
    const { p, q, u } = compareRow(z, v, temperature)
    const slope = new Float64Array(z.length)
    for (let c = 0; c < z.length; c++) {
      const toP = toMixture(p[c]!, q[c]!, u[c]!, 1 - beta)
      const toQ = toMixture(q[c]!, p[c]!, -u[c]!, beta)
      value += share * (beta * toP.term + (1 - beta) * toQ.term)
      slope[c] = -(1 - beta) * toQ.log
    }
    throughSoftmax(q, slope, temperature, out)
  })
  result[0] = value
}

/** log(m/a) and a·(m/a − 1 − log(m/a)) for m = a + share·(b − a), u = log(b/a). */
function toMixture(a: number, b: number, u: number, share: number): { log: number; term: number } {
  const m = (1 - share) * a + share * b
  // m underflows before a does.
  if (a === 0 || m === 0) return { log: 0, term: m }
  const isFar = Math.abs(u) > 1
  const log = isFar ? Math.log(m) - Math.log(a) : Math.log1p(share * Math.expm1(u))
  return { log, term: isFar ? m - a - a * log : a * expm1Minus(log) }
}
