import { ArgumentError, permutation, type Rng } from '@imago/tensor'
import type { Dataset } from './batch.js'
import { subset } from './subset.js'

/**
 * Hold rows out for validation: a share in (0, 1), or a number of rows ≥ 1. Which ones is the generator's choice and the
 * same each time for one `rng`; in both parts rows stay in their first order and keep their ids.
 */
export function split(
  source: Dataset,
  options: { readonly validation: number; readonly rng: Rng },
): { train: Dataset; validation: Dataset } {
  const { validation } = options
  const count = validation < 1 ? Math.round(validation * source.length) : validation
  if (!(Number.isInteger(count) && count >= 1 && count < source.length))
    throw new ArgumentError(
      'split',
      'validation',
      `a share in (0, 1) or a whole number of rows below ${source.length}`,
      validation,
    )
  const order = permutation(options.rng.split('split'), source.length)
  return {
    train: subset(source, order.slice(count).sort()),
    validation: subset(source, order.slice(0, count).sort()),
  }
}
