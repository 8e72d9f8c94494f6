import { checkTemperature, reverseKl as reverseKlKernel } from '@imago/kernels'
import { comparison } from './comparison.js'
import type { Loss } from './loss.js'

export interface ReverseKlOptions {
  /** T in [1e-38, 1e30]; default 1. */
  readonly temperature?: number
  /** The student output that holds logits [N, C]; default `logits`. */
  readonly output?: string
}

/**
 * Reverse KL (MiniLLM: Gu et al. 2024, §2.1), in nats: Σ w·T²·KL(softmax(z/T) ‖ softmax(v/T)) / Σ w. The student is not asked to cover every
 * mode of the teacher, only to stay where the teacher has mass. A teacher of −∞ on a class where the student has mass makes it ∞.
 *
 * Targets: `logits` [N, C] of the teacher; `weights` [N] where rows do not count alike. Parts: `reverse` (with its T²).
 *
 * @throws ArgumentError for T ≤ 0
 */
export function reverseKl(options: ReverseKlOptions = {}): Loss {
  const { output = 'logits' } = options
  const temperature = checkTemperature('reverseKl', options.temperature ?? 1)
  return comparison('reverseKl', 'reverse', output, temperature ** 2, (rows) =>
    reverseKlKernel({ ...rows, temperature }),
  )
}
