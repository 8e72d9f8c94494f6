import type { KernelOf } from '../signatures.js'
import { compareRow } from './compare-row.js'
import { divergenceRow, divergenceTerm, massDifference } from './divergence-row.js'
import { eachRow } from './rows.js'

/**
 * value = Σ w·T²·[α·TCKD + β·NCKD] / Σ w (Zhao et al. 2022, §3): TCKD is KL of the two classes "target" and "rest", NCKD is KL of the
 * softmaxes over the rest alone. Σ p over the rest has the derivative −p_t·p̂_c by a logit of the rest (p̂ its own softmax).
 * A teacher that excludes all of the rest has no NCKD.
 */
export const dkd: KernelOf<'dkd'> = (
  [student, teacher, labels, rowWeights, gradient, result, classMask],
  [rows, classes, temperature, alpha, beta, ignoreIndex, teacherType],
) => {
  const inputs = { student, teacher, teacherType, labels, ignoreIndex, rowWeights, classMask }
  let target = 0
  let rest = 0
  eachRow({ rows, classes, ...inputs, gradient, expect: 'softmax' }, ({ share, z, v, label, gradient: out }) => {
    if (label === -1) return
    const { p, q, u } = compareRow(z, v, temperature)
    const others = [...z.keys()].filter((c) => c !== label)
    const massOfP = others.reduce((sum, c) => sum + p[c]!, 0)
    const massOfQ = others.reduce((sum, c) => sum + q[c]!, 0)
    const ratio = logMassRatio(z, v, temperature, others, { p, q, u })
    target += share * (divergenceTerm(p[label]!, q[label]!, u[label]!) + divergenceTerm(massOfP, massOfQ, ratio))
    // q_t − p_t, from the side that is smaller.
    const pull =
      massOfP < 0.5 ? -massDifference(massOfP, massOfQ, ratio) : massDifference(p[label]!, q[label]!, u[label]!)
    out[label] = temperature * alpha * pull

    const difference = new Float64Array(others.length)
    const has = others.some((c) => v[c]! > Number.NEGATIVE_INFINITY)
    const zRest = z.filter((_, c) => c !== label)
    const vRest = v.filter((_, c) => c !== label)
    if (has) rest += share * restDivergence(zRest, vRest, temperature, difference)
    const qRest = restSoftmax(zRest, temperature)
    for (const [i, c] of others.entries()) out[c] = temperature * (beta * difference[i]! - alpha * pull * qRest[i]!)
  })
  target *= temperature ** 2
  rest *= temperature ** 2
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  result[0] = (alpha > 0 ? alpha * target : 0) + (beta > 0 ? beta * rest : 0)
  result[1] = target
  result[2] = rest
}

/** KL of the rest; a student that excludes all of it is infinitely far, with q = 0 everywhere. */
function restDivergence(z: Float32Array, v: Float32Array, temperature: number, difference: Float64Array): number {
  if (z.some((x) => x > Number.NEGATIVE_INFINITY)) return divergenceRow(z, v, temperature, difference)
  difference.set(restSoftmax(v, temperature).map((p) => -p))
  return Number.POSITIVE_INFINITY
}

/** log(Σ q / Σ p) over the rest. Where the two are close it comes from log(q/p) of the classes, else from logarithms of sums. */
function logMassRatio(
  z: Float32Array,
  v: Float32Array,
  temperature: number,
  others: readonly number[],
  { p, q, u }: { readonly p: Float64Array; readonly q: Float64Array; readonly u: Float64Array },
): number {
  const mass = others.reduce((sum, c) => sum + p[c]!, 0)
  if (mass > 0) {
    const excess = others.reduce((sum, c) => sum + massDifference(p[c]!, q[c]!, u[c]!), 0) / mass
    if (Math.abs(excess) < 0.5) return Math.log1p(excess)
  }
  const logOf = (row: Float32Array): number =>
    logSum(row, others, temperature) - logSum(row, [...row.keys()], temperature)
  const ratio = logOf(z) - logOf(v)
  return Number.isNaN(ratio) ? 0 : ratio
}

/** log Σ e^(z/T) over some classes, less max(z)/T. */
function logSum(row: Float32Array, over: readonly number[], temperature: number): number {
  const most = over.reduce((a, c) => Math.max(a, row[c]!), Number.NEGATIVE_INFINITY)
  if (most === Number.NEGATIVE_INFINITY) return most
  const largest = row.reduce((a, b) => Math.max(a, b))
  const sum = over.reduce((total, c) => total + Math.exp((row[c]! - most) / temperature), 0)
  return (most - largest) / temperature + Math.log(sum)
}

/** softmax(row/T), 0 for a row of −∞ alone. */
function restSoftmax(row: Float32Array, temperature: number): Float64Array {
  const most = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  if (most === Number.NEGATIVE_INFINITY) return new Float64Array(row.length)
  const e = Float64Array.from(row, (x) => Math.exp((x - most) / temperature))
  const sum = e.reduce((a, b) => a + b)
  return e.map((x) => x / sum)
}
