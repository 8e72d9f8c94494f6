import { squaredNorm } from '@imago/kernels'
import { NumericError, type TensorMap } from '@imago/tensor'
import { finiteNumber } from './finite-number.js'

/**
 * The factor by which all gradients shrink together so that their joint Euclidean norm is at most `limit`
 * (Pascanu, Mikolov & Bengio 2013, Algorithm 1), and the norm itself. Nothing is written: the factor goes to the optimizer
 * kernel as its `gradientScale`, so that clipping costs one read of the gradients and no write.
 *
 * @throws NumericError naming the tensor whose norm is not finite
 */
export function clipByGlobalNorm(gradients: TensorMap, limit: number): { norm: number; scale: number } {
  finiteNumber('clipByGlobalNorm', 'limit', limit, 0, true)
  let sum = 0
  for (const name in gradients) {
    const squared = squaredNorm({ x: gradients[name]! })
    if (!Number.isFinite(squared))
      throw new NumericError(
        'clipByGlobalNorm',
        `the gradient of ${JSON.stringify(name)} has a norm that is ${squared}; lower the rate, or look for the step before which it was finite`,
      )
    sum += squared
  }
  const norm = Math.sqrt(sum)
  return { norm, scale: norm > limit ? limit / norm : 1 }
}
