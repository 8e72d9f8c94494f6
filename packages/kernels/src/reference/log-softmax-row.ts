/** out_c = log softmax(logits / T)_c of one row. The maximum is subtracted before dividing, so that no exponent overflows. */
export function logSoftmaxRow(logits: Float32Array | Float64Array, temperature: number, out: Float64Array): void {
  let max = Number.NEGATIVE_INFINITY
  for (const value of logits) max = Math.max(max, value)
  let sum = 0
  for (const value of logits) sum += Math.exp((value - max) / temperature)
  const logSum = Math.log(sum)
  for (let c = 0; c < logits.length; c++) out[c] = (logits[c]! - max) / temperature - logSum
}
