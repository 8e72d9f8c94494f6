/**
 * One row: q = softmax(student) against targets t. Returns −Σ t·log q in nats and writes its derivative by the logits, q·Σt − t.
 */
export function crossEntropyRow(
  student: Float32Array | Float64Array,
  targets: Float64Array,
  difference: Float64Array,
): number {
  const classes = student.length
  let max = Number.NEGATIVE_INFINITY
  for (const value of student) max = Math.max(max, value)
  const first = student.indexOf(max)
  const label = targets.indexOf(1)
  let others = 0
  let withoutLabel = 0
  let sum = 0
  for (let c = 0; c < classes; c++) {
    const e = Math.exp(student[c]! - max)
    if (c !== first) others += e
    if (c !== label) withoutLabel += e
    sum += targets[c]!
  }
  // log Σ e^(z − max) = log(1 + the others): keeps the digits of a loss far below 1e-16.
  const logSum = Math.log1p(others)
  let loss = 0
  for (let c = 0; c < classes; c++) {
    const logQ = student[c]! - max - logSum
    const target = targets[c]!
    if (target > 0) loss -= target * logQ
    // q_y − 1 = −(the mass on the other classes), which does not cancel.
    difference[c] = c === label && sum === 1 ? -withoutLabel / (1 + others) : Math.exp(logQ) * sum - target
  }
  return loss
}

/** The distribution of a label: all mass on one class. */
export function onehot(classes: number, label: number): Float64Array {
  const targets = new Float64Array(classes)
  targets[label] = 1
  return targets
}
