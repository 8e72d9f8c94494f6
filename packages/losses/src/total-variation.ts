import { checkTemperature, totalVariation as totalVariationKernel } from '@imago/kernels'
import { comparison } from './comparison.js'
import type { Loss } from './loss.js'

export interface TotalVariationOptions {
  /** T in [1e-38, 1e30]; default 1. */
  readonly temperature?: number
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * Total variation (f-Distill: Wen et al. 2023): Σ w·T·½·Σ_c |q_c − p_c| / Σ w, p = softmax(v/T), q = softmax(z/T). The factor is T and
 * not T²: the distance falls with 1/T, its gradient with 1/T², and T·TV tends to half the mean deviation of z − v from its mean.
 *
 * Targets: `logits` [N, C] of the teacher; `weights` [N] where rows do not count alike. Parts: `variation` (with its T).
 *
 * @throws ArgumentError for T ≤ 0
 */
export function totalVariation(options: TotalVariationOptions = {}): Loss {
  const { output = 'logits' } = options
  const temperature = checkTemperature('totalVariation', options.temperature ?? 1)
  return comparison('totalVariation', 'variation', output, temperature, (rows) =>
    totalVariationKernel({ ...rows, temperature }),
  )
}
