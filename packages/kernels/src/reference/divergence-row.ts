import { logSoftmaxRow } from './log-softmax-row.js'

/**
 * One row: p = softmax(teacher/T), q = softmax(student/T). Returns KL(p ‖ q) in nats and writes q − p.
 *
 * The formula is Σ p·log(p/q), written with u = log(q/p) as Σ p·(eᵘ − 1 − u): the two differ by Σ q − Σ p = 0, but here no term
 * is negative. At high T both distributions are nearly uniform and u is of the order 1/T; then u comes from the difference
 * of the logits, not from that of two logarithms near log C, so that T²·KL and T·(q − p) keep their digits.
 */
export function divergenceRow(
  student: Float32Array,
  teacher: Float32Array,
  temperature: number,
  difference: Float64Array,
): number {
  const classes = student.length
  const logQ = new Float64Array(classes)
  const logP = new Float64Array(classes)
  logSoftmaxRow(student, temperature, logQ)
  logSoftmaxRow(teacher, temperature, logP)
  const logRatio = closeLogRatio(student, teacher, temperature, logP) ?? logQ.map((value, c) => value - logP[c]!)
  let divergence = 0
  for (let c = 0; c < classes; c++) {
    const p = Math.exp(logP[c]!)
    const q = Math.exp(logQ[c]!)
    const u = logRatio[c]!
    if (p === 0) {
      // 0·log 0 = 0: a class without teacher mass (−∞) only pulls the student's mass down.
      difference[c] = q
      divergence += q
    } else {
      difference[c] = u > 1 ? q - p : p * Math.expm1(u)
      divergence += Math.abs(u) > 1 ? q - p - p * u : p * expm1Minus(u)
    }
  }
  return divergence
}

/** log(q/p) where every |log(q/p)| is about 1 or less: u = d − log Σ p·eᵈ with d = (z − v)/T; null elsewhere. */
function closeLogRatio(
  student: Float32Array,
  teacher: Float32Array,
  temperature: number,
  logP: Float64Array,
): Float64Array | null {
  const d = new Float64Array(student.length)
  let mean = 0
  for (let c = 0; c < d.length; c++) {
    d[c] = (student[c]! - teacher[c]!) / temperature
    mean += Math.exp(logP[c]!) * d[c]!
  }
  let excess = 0
  for (let c = 0; c < d.length; c++) {
    d[c]! -= mean
    if (!(Math.abs(d[c]!) <= 1)) return null
    excess += Math.exp(logP[c]!) * Math.expm1(d[c]!)
  }
  return d.map((value) => value - Math.log1p(excess))
}

/** eᵘ − 1 − u without cancellation near 0. */
function expm1Minus(u: number): number {
  if (Math.abs(u) > 1e-3) return Math.expm1(u) - u
  return ((u * u) / 2) * (1 + (u / 3) * (1 + (u / 4) * (1 + u / 5)))
}
