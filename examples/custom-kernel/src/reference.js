/**
 * The definition, in float64 and as the paper prints it: what the C kernel is judged by. Buffers and scalars by position.
 *
 * @type {import('@imago/kernels').Kernel}
 */
export function alphaDivergence([student, teacher, rowWeights, gradient, result], [rows, classes, temperature, alpha]) {
  const weight = (r) => rowWeights?.[r] ?? 1
  const row = (logits, r) => softmax(Array.from(logits.subarray(r * classes, (r + 1) * classes)), temperature)
  let weights = 0
  for (let r = 0; r < rows; r++) {
    weights += weight(r)
    if (weight(r) > 0)
      for (const [name, logits] of Object.entries({ student, teacher }))
        for (const x of logits.subarray(r * classes, (r + 1) * classes))
          if (!Number.isFinite(x)) throw new Error(`${name}: ${x} in row ${r}`)
  }
  let value = 0
  for (let r = 0; r < rows; r++) {
    if (weight(r) === 0) {
      gradient?.fill(0, r * classes, (r + 1) * classes)
      continue
    }
    const share = weight(r) / weights
    const q = row(student, r)
    const p = row(teacher, r)
    // t = q·(p/q)^α, which is 0/0 where both underflow.
    const t = q.map((log, c) => Math.exp(alpha * p[c] + (1 - alpha) * log))
    const sum = t.reduce((a, b) => a + b, 0)
    value += (share * temperature ** 2 * (sum - 1)) / (alpha * (alpha - 1))
    for (let c = 0; gradient && c < classes; c++)
      gradient[r * classes + c] = ((-share * temperature) / alpha) * (t[c] - Math.exp(q[c]) * sum)
  }
  result[0] = value
}

/** ln softmax(x / T). */
function softmax(x, temperature) {
  const scaled = x.map((v) => v / temperature)
  const max = scaled.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const log = max + Math.log(scaled.reduce((sum, v) => sum + Math.exp(v - max), 0))
  return scaled.map((v) => v - log)
}
