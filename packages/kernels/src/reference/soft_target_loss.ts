import { decodeBfloat16, decodeFloat16 } from '../half.js'
import { crossEntropyRow } from './cross-entropy-row.js'
import { divergenceRow } from './divergence-row.js'
import { checkLabels, checkLogits, rowCounts, total } from './rows.js'

/**
 * value = Σ w·[(1 − a)·T²·KL(softmax(v/T) ‖ softmax(z/T)) + a·CE(z, y)] / Σ w, its two means, and dvalue/dz
 * (Hinton, Vinyals & Dean 2015, §2): dKL/dz = (q − p)/T, dCE/dz = softmax(z) − onehot(y).
 */
export function softTargetLoss(
  [student, teacher, labels, rowWeights, gradient, result]: readonly [
    Float32Array,
    Float32Array | Uint16Array,
    Int32Array | null,
    Float32Array | null,
    Float32Array | null,
    Float64Array,
  ],
  [rows, classes, temperature, hardWeight, ignoreIndex, teacherType]: readonly [
    number,
    number,
    number,
    number,
    number,
    number,
  ],
): void {
  const teacherLogits = teacher instanceof Float32Array ? teacher : decode(teacher, teacherType)
  const counts = rowCounts(rows, rowWeights, labels, ignoreIndex)
  const weightSum = total(counts)
  checkLogits('student', student, counts)
  checkLogits('teacher', teacherLogits, counts)
  checkLabels(labels, classes, counts)
  let soft = 0
  let hard = 0
  const softDifference = new Float64Array(classes)
  const hardDifference = new Float64Array(classes)
  for (let r = 0; r < rows; r++) {
    const start = r * classes
    if (counts[r] === 0) {
      gradient?.fill(0, start, start + classes)
      continue
    }
    const w = counts[r]! / weightSum
    const z = student.subarray(start, start + classes)
    const v = teacherLogits.subarray(start, start + classes)
    soft += w * temperature * (temperature * divergenceRow(z, v, temperature, softDifference))
    const label = labels === null ? -1 : labels[r]!
    if (label === -1) hardDifference.fill(0)
    else hard += w * crossEntropyRow(z, label, 0, hardDifference)
    if (gradient === null) continue
    for (let c = 0; c < classes; c++)
      gradient[start + c] = w * ((1 - hardWeight) * temperature * softDifference[c]! + hardWeight * hardDifference[c]!)
  }
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  result[0] = (hardWeight < 1 ? (1 - hardWeight) * soft : 0) + (hardWeight > 0 ? hardWeight * hard : 0)
  result[1] = soft
  result[2] = hard
}

function decode(bits: Uint16Array, teacherType: number): Float32Array {
  return Float32Array.from(bits, teacherType === 1 ? decodeFloat16 : decodeBfloat16)
}
