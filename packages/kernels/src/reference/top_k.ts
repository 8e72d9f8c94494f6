import type { KernelOf } from '../signatures.js'
import { checkLogits } from './rows.js'

/** The k largest logits of each row, descending, equal ones by lower index; ln Σ e^(z/T); ln of the share of the others. */
export const topK: KernelOf<'top_k'> = (
  [logits, values, indices, logSumExp, logTail],
  [rows, classes, k, temperature],
) => {
  checkLogits('logits', logits, new Float64Array(rows).fill(1))
  for (let r = 0; r < rows; r++) {
    const z = logits.subarray(r * classes, (r + 1) * classes)
    const order = Array.from(z.keys()).sort((a, b) => (z[a] === z[b] ? a - b : z[b]! > z[a]! ? 1 : -1))
    for (let j = 0; j < k; j++) {
      indices[r * k + j] = order[j]!
      values[r * k + j] = z[order[j]!]!
    }
    const logAll = logSum(order, z, temperature)
    if (logSumExp) logSumExp[r] = logAll
    if (logTail) logTail[r] = logSum(order.slice(k), z, temperature) - logAll
  }
}

/** ln Σ e^(z/T) over some classes, the largest of which comes first. */
function logSum(classes: readonly number[], z: Float32Array, temperature: number): number {
  const first = classes.length === 0 ? Number.NEGATIVE_INFINITY : z[classes[0]!]!
  if (first === Number.NEGATIVE_INFINITY) return first
  let sum = 0
  for (const c of classes) sum += Math.exp((z[c]! - first) / temperature)
  return first / temperature + Math.log(sum)
}
