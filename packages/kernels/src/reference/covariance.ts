import type { KernelOf } from '../signatures.js'
import { checkFinite } from './rows.js'

/**
 * Mean and co-moment of a batch by their definition, joined with those before: with b = Σ w of the batch and δ the distance of
 * the means, M += M_batch + δδᵀ·n·b/(n + b) (Chan, Golub & LeVeque 1983, eq. 2.1).
 */
export const covariance: KernelOf<'covariance'> = ([x, rowWeights, count, mean, comoment], [rows, columns]) => {
  const weights = Float64Array.from({ length: rows }, (_, r) => rowWeights?.[r] ?? 1)
  checkFinite('x', x, weights)
  const batch = weights.reduce((a, b) => a + b, 0)
  if (batch === 0) return
  const own = new Float64Array(columns)
  for (let r = 0; r < rows; r++)
    if (weights[r] !== 0) for (let c = 0; c < columns; c++) own[c]! += (weights[r]! * x[r * columns + c]!) / batch
  const total = count[0]! + batch
  for (let i = 0; i < columns; i++)
    for (let j = i; j < columns; j++) {
      let sum = ((own[i]! - mean[i]!) * (own[j]! - mean[j]!) * count[0]! * batch) / total
      for (let r = 0; r < rows; r++)
        if (weights[r] !== 0) sum += weights[r]! * (x[r * columns + i]! - own[i]!) * (x[r * columns + j]! - own[j]!)
      comoment[i * columns + j]! += sum
    }
  for (let c = 0; c < columns; c++) mean[c]! += ((own[c]! - mean[c]!) * batch) / total
  count[0] = total
}
