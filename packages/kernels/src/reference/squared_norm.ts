import type { KernelOf } from '../signatures.js'

/** result = [Σ x²]. */
export const squaredNorm: KernelOf<'squared_norm'> = ([x, result], [n]) => {
  let sum = 0
  for (let i = 0; i < n; i++) sum += x[i]! * x[i]!
  result[0] = sum
}
