/** What each row counts: its weight, 0 where it is left out (weight 0, or label = ignoreIndex). */
export function rowCounts(
  rows: number,
  rowWeights: Float32Array | null,
  labels: Int32Array | null,
  ignoreIndex: number,
): Float64Array {
  const counts = new Float64Array(rows)
  for (let r = 0; r < rows; r++) {
    const ignored = labels !== null && labels[r] === ignoreIndex
    counts[r] = ignored ? 0 : rowWeights === null ? 1 : rowWeights[r]!
  }
  return counts
}

/** Σ w. */
export function total(counts: Float64Array): number {
  let sum = 0
  for (const count of counts) sum += count
  return sum
}

/** Refuse NaN, +∞ and rows of −∞ alone, in rows that count: no softmax exists there. */
export function checkLogits(name: string, logits: Float64Array | Float32Array, counts: Float64Array): void {
  const classes = logits.length / counts.length
  for (let r = 0; r < counts.length; r++) {
    if (counts[r] === 0) continue
    let finite = 0
    for (let c = 0; c < classes; c++) {
      const value = logits[r * classes + c]!
      if (Number.isNaN(value) || value === Number.POSITIVE_INFINITY) throw new Error(`${name}: ${value} in row ${r}`)
      if (value !== Number.NEGATIVE_INFINITY) finite++
    }
    if (finite === 0) throw new Error(`${name}: only -Infinity in row ${r}`)
  }
}

/** Refuse anything that is not finite, in rows that count: for losses that subtract logits. */
export function checkFinite(name: string, values: Float32Array, counts: Float64Array): void {
  const classes = values.length / counts.length
  for (let i = 0; i < values.length; i++) {
    const r = Math.floor(i / classes)
    if (counts[r] !== 0 && !Number.isFinite(values[i])) throw new Error(`${name}: ${values[i]} in row ${r}`)
  }
}

/** Refuse labels that are neither a class nor −1, in rows that count. */
export function checkLabels(labels: Int32Array | null, classes: number, counts: Float64Array): void {
  if (labels === null) return
  for (let r = 0; r < counts.length; r++) {
    const label = labels[r]!
    if (counts[r] !== 0 && (label < -1 || label >= classes))
      throw new Error(`labels: ${label} in row ${r} is not a class`)
  }
}
