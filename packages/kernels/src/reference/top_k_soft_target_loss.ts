import type { KernelOf } from '../signatures.js'
import { crossEntropyRow, onehot } from './cross-entropy-row.js'
import { divergenceTerm, massDifference } from './divergence-row.js'
import { logSoftmaxRow } from './log-softmax-row.js'
import { classesOf, decoded, eachRow, rowCounts } from './rows.js'

/**
 * soft_target_loss with KL of k + 1 buckets: the k classes of the row that the teacher tells, and all others together. The derivative
 * of a bucket's q by the logits is that of the sum of its classes' q: with D = q − p of the bucket, dKL/dz_c = D·q_c/q/T.
 */
export const topKSoftTargetLoss: KernelOf<'top_k_soft_target_loss'> = (
  [student, indices, values, logTail, labels, rowWeights, gradient, result, classMask],
  [rows, classes, k, temperature, hardWeight, ignoreIndex, valuesType, areLogits],
) => {
  const teacher = decoded(values, valuesType)
  const kept = classesOf({ rows, classes, classMask }).length
  if (rows > 0 && (k === 0 || k > kept)) throw new Error(`k must be in [1, ${kept}], the number of classes, got ${k}`)
  if (areLogits && logTail === null && kept > k) throw new Error('logits of k classes need logTail')
  const hasOthers = kept > k
  const bucketsOf = (r: number): Buckets => {
    const row = Float64Array.from(teacher.subarray(r * k, (r + 1) * k), (value) =>
      areLogits ? value / temperature : value,
    )
    return buckets(row, logTail === null ? null : logTail[r]!, hasOthers)
  }
  const counts = rowCounts(rows, rowWeights, labels, ignoreIndex)
  for (let r = 0; r < rows; r++) {
    if (counts[r] === 0) continue
    checkRow(r, indices.subarray(r * k, (r + 1) * k), teacher.subarray(r * k, (r + 1) * k), classes, classMask)
    if (logTail !== null && !(logTail[r]! <= 0)) throw new Error(`logTail: ${logTail[r]} in row ${r}`)
    const { mass } = bucketsOf(r)
    const tailHasAll = logTail === null ? !areLogits : logTail[r] === 0
    const anyMass = teacher.subarray(r * k, (r + 1) * k).some((value) => value > Number.NEGATIVE_INFINITY)
    if (!anyMass && !(hasOthers && tailHasAll)) throw new Error(`values: only -Infinity in row ${r}`)
    const given = areLogits || logTail !== null
    if (!given && !(mass <= 1 + massTolerance[valuesType]!))
      throw new Error(`values: ${mass} as the sum of the probabilities in row ${r}`)
  }
  let soft = 0
  let hard = 0
  const inputs = { student, labels, ignoreIndex, rowWeights, classMask }
  eachRow(
    { rows, classes, ...inputs, gradient, expect: 'softmax' },
    ({ index, share, z, label, gradient: out, position }) => {
      const { logP, logRest } = bucketsOf(index)
      const chosen = Array.from(indices.subarray(index * k, (index + 1) * k), (c) => position(c))
      const logQ = new Float64Array(z.length)
      logSoftmaxRow(z, temperature, logQ)
      const others = [...z.keys()].filter((c) => !chosen.includes(c))
      const logOthers = logSum(others.map((c) => logQ[c]!))
      const term = (p: number, q: number): number => divergenceTerm(Math.exp(p), Math.exp(q), ratio(q, p))
      const difference = (p: number, q: number): number => massDifference(Math.exp(p), Math.exp(q), ratio(q, p))
      let divergence = term(logRest, logOthers)
      for (const c of others)
        if (logQ[c]! > Number.NEGATIVE_INFINITY)
          out[c] = (1 - hardWeight) * temperature * difference(logRest, logOthers) * Math.exp(logQ[c]! - logOthers)
      for (const [j, c] of chosen.entries()) {
        divergence += term(logP[j]!, logQ[c]!)
        out[c] = (1 - hardWeight) * temperature * difference(logP[j]!, logQ[c]!)
      }
      soft += share * temperature * (temperature * divergence)
      if (label === -1) return
      const hardDifference = new Float64Array(z.length)
      hard += share * crossEntropyRow(z, onehot(z.length, label), hardDifference)
      for (let c = 0; c < z.length; c++) out[c]! += hardWeight * hardDifference[c]!
    },
  )
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  result[0] = (hardWeight < 1 ? (1 - hardWeight) * soft : 0) + (hardWeight > 0 ? hardWeight * hard : 0)
  result[1] = soft
  result[2] = hard
}

/** How far above 1 the probabilities of k classes may sum: what rounding their logarithms to float32, float16, bfloat16 does. */
const massTolerance = [1e-4, 4e-3, 3e-2]

interface Buckets {
  readonly logP: Float64Array
  readonly logRest: number
  /** Σ e^value of the k values as they are given. */
  readonly mass: number
}

/**
 * The teacher's buckets. With a tail, the values say how the rest of the mass is shared; without one they are log-probabilities and
 * leave what they leave. No other class: no tail.
 */
function buckets(values: Float64Array, logTail: number | null, hasOthers: boolean): Buckets {
  const total = logSum([...values])
  const mass = Math.exp(total)
  const relative = values.map((value) => (total === Number.NEGATIVE_INFINITY ? total : value - total))
  if (!hasOthers) return { logP: relative, logRest: Number.NEGATIVE_INFINITY, mass }
  if (logTail !== null) return { logP: relative.map((p) => p + Math.log(-Math.expm1(logTail))), logRest: logTail, mass }
  return mass < 1
    ? { logP: values, logRest: Math.log1p(-mass), mass }
    : { logP: relative, logRest: Number.NEGATIVE_INFINITY, mass }
}

function checkRow(
  r: number,
  indices: Int32Array,
  values: Float32Array,
  classes: number,
  mask: Uint8Array | null,
): void {
  for (const [j, c] of indices.entries()) {
    if (c < 0 || c >= classes || mask?.[c] === 0) throw new Error(`indices: ${c} in row ${r} is not a class`)
    if (indices.indexOf(c) < j) throw new Error(`indices: ${c} in row ${r} is there twice`)
    if (!(values[j]! < Number.POSITIVE_INFINITY)) throw new Error(`values: ${values[j]} in row ${r}`)
  }
}

/** log(q/p) from logarithms; 0 where both are nothing. */
function ratio(logQ: number, logP: number): number {
  return logQ === logP ? 0 : logQ - logP
}

function logSum(logs: readonly number[]): number {
  const max = logs.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  if (max === Number.NEGATIVE_INFINITY) return max
  return max + Math.log(logs.reduce((sum, x) => sum + Math.exp(x - max), 0))
}
