import { sgd } from '@imago/kernels'
import type { MaxSquaredNorm, Optimizer } from '@imago/optim'
import { type Tensor, zeros } from '@imago/tensor'

/**
 * Max-norm behind any optimizer: after each step every unit's incoming weights w with ‖w‖² > limit are scaled back to
 * ‖w‖² = limit. The kernel is SGD's with rate 0, whose step moves nothing.
 */
export function maxNormAfter(optimizer: Optimizer, { limit, units }: MaxSquaredNorm): Optimizer {
  const still = new Map<string, Tensor<'float32'>>()
  return {
    ...optimizer,
    step(parameters, gradients, at) {
      const report = optimizer.step(parameters, gradients, at)
      for (const name in units) {
        const parameter = parameters[name]!
        const velocity = still.get(name) ?? zeros('float32', parameter.dims)
        still.set(name, velocity)
        sgd({
          parameter,
          gradient: gradients[name]!,
          velocity,
          rate: 0,
          momentum: 0,
          weightDecay: 0,
          maxSquaredNorm: limit,
          units: units[name]!,
        })
      }
      return report
    },
  }
}
