import { logSoftmaxRow } from './log-softmax-row.js'

/** p = softmax(teacher/T), q = softmax(student/T) and u = log(q/p): 0 where both are 0, ±∞ where one of the logits is −∞. */
export interface Comparison {
  readonly p: Float64Array
  readonly q: Float64Array
  readonly u: Float64Array
}

type Row = Float32Array | Float64Array

/**
 * Compare two rows of logits. Where p and q nearly agree — at high T, or both sure of the same class — u comes from differences of
 * logits and not of two logarithms, so that T²·KL and T·(q − p) keep their digits.
 */
export function compareRow(student: Row, teacher: Row, temperature: number): Comparison {
  const classes = student.length
  const logQ = new Float64Array(classes)
  const logP = new Float64Array(classes)
  logSoftmaxRow(student, temperature, logQ)
  logSoftmaxRow(teacher, temperature, logP)
  const u = closeLogRatio(student, teacher, temperature, logP) ?? logQ.map((value, c) => value - logP[c]!)
  return { p: logP.map(Math.exp), q: logQ.map(Math.exp), u: u.map((value) => (Number.isNaN(value) ? 0 : value)) }
}

/**
 * log(q/p)_c = d_c − log Σ p·eᵈ, with d = (z − v)/T less its value at the teacher's best class: there d is exactly 0, and what the
 * other classes add is as small as their mass. Null where the student holds that class for (nearly) impossible: then q and
 * p are far apart and log q − log p serves.
 */
function closeLogRatio(student: Row, teacher: Row, temperature: number, logP: Float64Array): Float64Array | null {
  const best = indexOfLargest(logP)
  const d = new Float64Array(student.length)
  let excess = 0
  for (let c = 0; c < d.length; c++) {
    const lead = (student[c]! - student[best]!) / temperature
    if (!(lead < 700)) return null
    // Each row by itself first: 1e30 − 7 would be 1e30.
    d[c] = (student[c]! - student[best]! - (teacher[c]! - teacher[best]!)) / temperature
    const p = Math.exp(logP[c]!)
    // p·(eᵈ − 1); without overflow where the student gives the class far more than the teacher does.
    excess += p > 0 && d[c]! <= 1 ? p * Math.expm1(d[c]!) : Math.exp(lead + logP[best]!) - p
  }
  const logSum = Math.log1p(excess)
  return d.map((value) => value - logSum)
}

/** eᵘ − 1 − u without cancellation near 0. */
export function expm1Minus(u: number): number {
  if (Math.abs(u) > 1e-3) return Math.expm1(u) - u
  return ((u * u) / 2) * (1 + (u / 3) * (1 + (u / 4) * (1 + u / 5)))
}

/**
 * The derivative of a loss by the logits z, from its derivative `slope` by q = softmax(z/T): q_c·(slope_c − Σ q·slope)/T. The classes'
 * derivatives sum to 0, which gives that of the likeliest class its digits where it has nearly all the mass.
 */
export function throughSoftmax(q: Float64Array, slope: Float64Array, temperature: number, out: Float64Array): void {
  const best = indexOfLargest(q)
  const mean = q.reduce((sum, mass, c) => sum + (mass === 0 ? 0 : mass * slope[c]!), 0)
  let others = 0
  for (let c = 0; c < q.length; c++) {
    out[c] = q[c] === 0 ? 0 : (q[c]! * (slope[c]! - mean)) / temperature
    if (c !== best) others += out[c]!
  }
  if (q[best]! > 0.75) out[best] = -others
}

function indexOfLargest(values: Float64Array): number {
  let best = 0
  for (let c = 1; c < values.length; c++) if (values[c]! > values[best]!) best = c
  return best
}
