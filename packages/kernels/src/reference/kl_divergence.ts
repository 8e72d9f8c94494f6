import { divergenceRow } from './divergence-row.js'
import { checkLogits, rowCounts, total } from './rows.js'

/** value = Σ w·KL(softmax(v/T) ‖ softmax(z/T)) / Σ w, and dvalue/dz = w·(q − p)/T / Σ w. */
export function klDivergence(
  [student, teacher, rowWeights, gradient, result]: readonly [
    Float32Array,
    Float32Array,
    Float32Array | null,
    Float32Array | null,
    Float64Array,
  ],
  [rows, classes, temperature]: readonly [number, number, number],
): void {
  const counts = rowCounts(rows, rowWeights, null, -1)
  const weightSum = total(counts)
  checkLogits('student', student, counts)
  checkLogits('teacher', teacher, counts)
  let value = 0
  const difference = new Float64Array(classes)
  for (let r = 0; r < rows; r++) {
    const start = r * classes
    if (counts[r] === 0) {
      gradient?.fill(0, start, start + classes)
      continue
    }
    const w = counts[r]! / weightSum
    const z = student.subarray(start, start + classes)
    const v = teacher.subarray(start, start + classes)
    value += w * divergenceRow(z, v, temperature, difference)
    if (gradient === null) continue
    for (let c = 0; c < classes; c++) gradient[start + c] = (w * difference[c]!) / temperature
  }
  result[0] = value
}
