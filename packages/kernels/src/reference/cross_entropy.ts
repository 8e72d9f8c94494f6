import { crossEntropyRow } from './cross-entropy-row.js'
import { checkLabels, checkLogits, rowCounts, total } from './rows.js'

/** value = Σ w·(−Σ t·log softmax(z)) / Σ w with t = (1−ε)·onehot(y) + ε/C, and dvalue/dz. */
export function crossEntropy(
  [student, labels, rowWeights, gradient, result]: readonly [
    Float32Array,
    Int32Array,
    Float32Array | null,
    Float32Array | null,
    Float64Array,
  ],
  [rows, classes, smoothing, ignoreIndex]: readonly [number, number, number, number],
): void {
  const counts = rowCounts(rows, rowWeights, labels, ignoreIndex)
  const weightSum = total(counts)
  checkLogits('student', student, counts)
  checkLabels(labels, classes, counts)
  let value = 0
  const difference = new Float64Array(classes)
  for (let r = 0; r < rows; r++) {
    const start = r * classes
    if (counts[r] === 0 || labels[r] === -1) {
      gradient?.fill(0, start, start + classes)
      continue
    }
    const w = counts[r]! / weightSum
    value += w * crossEntropyRow(student.subarray(start, start + classes), labels[r]!, smoothing, difference)
    if (gradient === null) continue
    for (let c = 0; c < classes; c++) gradient[start + c] = w * difference[c]!
  }
  result[0] = value
}
