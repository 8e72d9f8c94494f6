import { checkFinite, rowCounts, total } from './rows.js'

/**
 * value = Σ w·½·Σ_c (z − v)² / Σ w (Ba & Caruana 2014, §2.2), and dvalue/dz = w·(z − v) / Σ w.
 * zeroMean takes the mean over the classes out of both rows first; centring is a projection, so the gradient is centred too.
 */
export function logitRegression(
  [student, teacher, rowWeights, gradient, result]: readonly [
    Float32Array,
    Float32Array,
    Float32Array | null,
    Float32Array | null,
    Float64Array,
  ],
  [rows, classes, zeroMean]: readonly [number, number, number],
): void {
  const counts = rowCounts(rows, rowWeights, null, -1)
  const weightSum = total(counts)
  checkFinite('student', student, counts)
  checkFinite('teacher', teacher, counts)
  let value = 0
  for (let r = 0; r < rows; r++) {
    const start = r * classes
    if (counts[r] === 0) {
      gradient?.fill(0, start, start + classes)
      continue
    }
    const w = counts[r]! / weightSum
    let mean = 0
    if (zeroMean) for (let c = 0; c < classes; c++) mean += (student[start + c]! - teacher[start + c]!) / classes
    for (let c = 0; c < classes; c++) {
      const difference = student[start + c]! - teacher[start + c]! - mean
      value += (w * difference * difference) / 2
      if (gradient !== null) gradient[start + c] = w * difference
    }
  }
  result[0] = value
}
