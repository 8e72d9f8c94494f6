import { checkTemperature, jsDivergence } from '@imago/kernels'
import { ArgumentError } from '@imago/tensor'
import { comparison } from './comparison.js'
import type { Loss } from './loss.js'

export interface JsdOptions {
  /** β in (0, 1): the teacher's share in the mixture; default ½, the symmetric divergence. */
  readonly beta?: number
  /** T in [1e-38, 1e30]; default 1. */
  readonly temperature?: number
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * Generalized Jensen-Shannon divergence (GKD: Agarwal et al. 2024, §2), in nats: Σ w·T²·[β·KL(p ‖ m) + (1 − β)·KL(q ‖ m)] / Σ w with
 * m = β·p + (1 − β)·q, p = softmax(v/T), q = softmax(z/T). Bounded, also where teacher and student share no class.
 *
 * Targets: `logits` [N, C] of the teacher; `weights` [N] where rows do not count alike. Parts: `jsd` (with its T²).
 *
 * @throws ArgumentError for T ≤ 0 and β outside (0, 1)
 */
export function jsd(options: JsdOptions = {}): Loss {
  const { output = 'logits', beta = 0.5 } = options
  const temperature = checkTemperature('jsd', options.temperature ?? 1)
  if (!(typeof beta === 'number' && beta > 0 && beta < 1)) throw new ArgumentError('jsd', 'beta', 'in (0, 1)', beta)
  return comparison('jsd', 'jsd', output, temperature ** 2, (rows) => jsDivergence({ ...rows, temperature, beta }))
}
