import type { KernelOf } from '../signatures.js'
import { crossEntropyRow, onehot } from './cross-entropy-row.js'
import { divergenceRow } from './divergence-row.js'
import { checkFinite, checkLabels, checkLogits, decoded, rowCounts, total } from './rows.js'

/**
 * soft_target_loss of z = h·Wᵀ + b, with all logits in memory, and by the chain rule from g = dvalue/dz: dvalue/dh = g·W,
 * dvalue/dW = gᵀ·h, dvalue/db = Σ_rows g. A class that is masked has the logit −∞ on both sides.
 */
export const linearSoftTargetLoss: KernelOf<'linear_soft_target_loss'> = (
  [
    studentHidden,
    studentWeight,
    studentBias,
    teacherLogits,
    teacherHidden,
    teacherWeight,
    teacherBias,
    labels,
    rowWeights,
    hiddenGradient,
    weightGradient,
    biasGradient,
    result,
    classMask,
  ],
  [rows, classes, depth, teacherDepth, temperature, hardWeight, ignoreIndex, studentType, teacherType],
) => {
  const counts = rowCounts(rows, rowWeights, labels, ignoreIndex)
  const weightSum = total(counts)
  if (rows > 0 && classMask?.every((kept) => kept === 0)) throw new Error('classMask: 0 for every class')
  checkLabels(labels, classes, counts, classMask)
  const h = decoded(studentHidden, studentType)
  const weight = decoded(studentWeight, studentType)
  checkLayer('student', h, weight, studentBias, counts, classes, classMask)
  let teacher: Float64Array
  if (teacherLogits !== null) {
    teacher = Float64Array.from(decoded(teacherLogits, teacherType))
    checkLogits('teacher', teacher, counts, classMask)
  } else {
    const hidden = decoded(teacherHidden!, teacherType)
    const matrix = decoded(teacherWeight!, teacherType)
    checkLayer('teacher', hidden, matrix, teacherBias, counts, classes, classMask)
    teacher = linear(hidden, matrix, teacherBias, rows, classes, teacherDepth)
    checkRange('teacher', teacher, counts, classMask)
  }
  const student = linear(h, weight, studentBias, rows, classes, depth)
  checkRange('student', student, counts, classMask)
  for (const logits of [student, teacher]) mask(logits, classMask)

  let soft = 0
  let hard = 0
  const dHidden = new Float64Array(rows * depth)
  const dWeight = new Float64Array(classes * depth)
  const dBias = new Float64Array(classes)
  const softDifference = new Float64Array(classes)
  const hardDifference = new Float64Array(classes)
  for (let r = 0; r < rows; r++) {
    if (counts[r] === 0) continue
    const w = counts[r]! / weightSum
    const z = student.subarray(r * classes, (r + 1) * classes)
    const v = teacher.subarray(r * classes, (r + 1) * classes)
    soft += w * temperature * (temperature * divergenceRow(z, v, temperature, softDifference))
    const label = labels === null ? -1 : labels[r]!
    if (label === -1) hardDifference.fill(0)
    else hard += w * crossEntropyRow(z, onehot(classes, label), hardDifference)
    for (let c = 0; c < classes; c++) {
      const g = w * ((1 - hardWeight) * temperature * softDifference[c]! + hardWeight * hardDifference[c]!)
      dBias[c]! += g
      for (let d = 0; d < depth; d++) {
        dHidden[r * depth + d]! += g * weight[c * depth + d]!
        dWeight[c * depth + d]! += g * h[r * depth + d]!
      }
    }
  }
  hiddenGradient?.set(dHidden)
  weightGradient?.set(dWeight)
  biasGradient?.set(dBias)
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  result[0] = (hardWeight < 1 ? (1 - hardWeight) * soft : 0) + (hardWeight > 0 ? hardWeight * hard : 0)
  result[1] = soft
  result[2] = hard
}

/** hidden [R, D]·weightᵀ [D, C] + bias. Rows that are left out come along; nobody looks at them. */
function linear(
  hidden: Float32Array,
  weight: Float32Array,
  bias: Float32Array | null,
  rows: number,
  classes: number,
  depth: number,
): Float64Array {
  const logits = new Float64Array(rows * classes)
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < classes; c++) {
      let sum = bias === null ? 0 : bias[c]!
      for (let d = 0; d < depth; d++) sum += hidden[r * depth + d]! * weight[c * depth + d]!
      logits[r * classes + c] = sum
    }
  return logits
}

function mask(logits: Float64Array, classMask: Uint8Array | null): void {
  if (classMask === null) return
  for (let i = 0; i < logits.length; i++)
    if (classMask[i % classMask.length] === 0) logits[i] = Number.NEGATIVE_INFINITY
}

function checkLayer(
  side: 'student' | 'teacher',
  hidden: Float32Array,
  weight: Float32Array,
  bias: Float32Array | null,
  counts: Float64Array,
  classes: number,
  classMask: Uint8Array | null,
): void {
  checkFinite(`${side}Hidden`, hidden, counts)
  checkFinite(`${side}Weight`, weight, new Float64Array(classes).fill(1))
  if (bias !== null) checkLogits(`${side}Bias`, bias, Float64Array.of(1), classMask)
}

/** Refuse logits that float32 does not hold. */
function checkRange(name: string, logits: Float64Array, counts: Float64Array, classMask: Uint8Array | null): void {
  const classes = logits.length / counts.length
  for (let i = 0; i < logits.length; i++) {
    const r = Math.floor(i / classes)
    if (counts[r] !== 0 && classMask?.[i % classes] !== 0 && Math.fround(logits[i]!) === Number.POSITIVE_INFINITY)
      throw new Error(`${name}: logits beyond float32 in row ${r}`)
  }
}
