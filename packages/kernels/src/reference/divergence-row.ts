import { logSoftmaxRow } from './log-softmax-row.js'

/**
 * One row: p = softmax(teacher/T), q = softmax(student/T). Returns KL(p ‖ q) in nats and writes q − p.
 *
 * The formula is Σ p·log(p/q), written with u = log(q/p) as Σ p·(eᵘ − 1 − u): the two differ by Σ q − Σ p = 0, but here no term
 * is negative. Where p and q nearly agree — at high T, or both sure of the same class — u comes from differences of logits
 * and not of two logarithms, so that T²·KL and T·(q − p) keep their digits.
 */
export function divergenceRow(
  student: Float32Array | Float64Array,
  teacher: Float32Array | Float64Array,
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

/**
 * log(q/p)_c = d_c − log Σ p·eᵈ, with d = (z − v)/T less its value at the teacher's best class: there d is exactly 0, and what the
 * other classes add is as small as their mass. Null where the student holds that class for (nearly) impossible: then q and
 * p are far apart and log q − log p serves.
 */
function closeLogRatio(
  student: Float32Array | Float64Array,
  teacher: Float32Array | Float64Array,
  temperature: number,
  logP: Float64Array,
): Float64Array | null {
  const best = indexOfLargest(logP)
  const d = new Float64Array(student.length)
  let excess = 0
  for (let c = 0; c < d.length; c++) {
    const lead = (student[c]! - student[best]!) / temperature
    if (!(lead < 700)) return null
    d[c] = (student[c]! - teacher[c]! - (student[best]! - teacher[best]!)) / temperature
    const p = Math.exp(logP[c]!)
    // p·(eᵈ − 1); without overflow where the student gives the class far more than the teacher does.
    excess += p > 0 && d[c]! <= 1 ? p * Math.expm1(d[c]!) : Math.exp(lead + logP[best]!) - p
  }
  const logSum = Math.log1p(excess)
  return d.map((value) => value - logSum)
}

/** eᵘ − 1 − u without cancellation near 0. */
function expm1Minus(u: number): number {
  if (Math.abs(u) > 1e-3) return Math.expm1(u) - u
  return ((u * u) / 2) * (1 + (u / 3) * (1 + (u / 4) * (1 + u / 5)))
}

function indexOfLargest(values: Float64Array): number {
  let best = 0
  for (let c = 1; c < values.length; c++) if (values[c]! > values[best]!) best = c
  return best
}
