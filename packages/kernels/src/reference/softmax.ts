import { logSoftmaxRow } from './log-softmax-row.js'
import { checkLogits } from './rows.js'

/** out = softmax(logits / T) by row, or its logarithm. */
export function softmax(
  [logits, out]: readonly [Float32Array, Float32Array],
  [rows, classes, temperature, log]: readonly [number, number, number, number],
): void {
  checkLogits('logits', logits, new Float64Array(rows).fill(1))
  const logQ = new Float64Array(classes)
  for (let r = 0; r < rows; r++) {
    logSoftmaxRow(logits.subarray(r * classes, (r + 1) * classes), temperature, logQ)
    for (let c = 0; c < classes; c++) out[r * classes + c] = log ? logQ[c]! : Math.exp(logQ[c]!)
  }
}
