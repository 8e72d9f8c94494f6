/**
 * One row: q = softmax(student), t = (1−ε)·onehot(label) + ε/C. Returns −Σ t·log q in nats and writes q − t.
 */
export function crossEntropyRow(
  student: Float32Array | Float64Array,
  label: number,
  smoothing: number,
  difference: Float64Array,
): number {
  const classes = student.length
  let max = Number.NEGATIVE_INFINITY
  for (const value of student) max = Math.max(max, value)
  const first = student.indexOf(max)
  let others = 0
  let withoutLabel = 0
  for (let c = 0; c < classes; c++) {
    const e = Math.exp(student[c]! - max)
    if (c !== first) others += e
    if (c !== label) withoutLabel += e
  }
  // log Σ e^(z − max) = log(1 + the others): keeps the digits of a loss far below 1e-16.
  const logSum = Math.log1p(others)
  let loss = 0
  for (let c = 0; c < classes; c++) {
    const logQ = student[c]! - max - logSum
    const target = (c === label ? 1 - smoothing : 0) + smoothing / classes
    if (target > 0) loss -= target * logQ
    // q_y − 1 = −(the mass on the other classes), which does not cancel.
    difference[c] = c === label && smoothing === 0 ? -withoutLabel / (1 + others) : Math.exp(logQ) - target
  }
  return loss
}
