import { sgd as sgdKernel } from '@imago/kernels'
import { ArgumentError, type TensorMap } from '@imago/tensor'
import { clipByGlobalNorm } from './clip-by-global-norm.js'
import { finiteNumber } from './finite-number.js'
import { checkUnits, type MaxSquaredNorm, unitsOf } from './max-squared-norm.js'
import type { Optimizer, Schedule } from './optimizer.js'
import { asSchedule } from './schedules/constant.js'
import { slots } from './slots.js'
import { trained } from './trained.js'

export interface SgdOptions {
  /** The learning rate ε, on the mean gradient of the batch. */
  readonly rate: number | Schedule
  /** The momentum p in [0, 1); default 0. */
  readonly momentum?: number | Schedule
  /** True: the gradient is multiplied by (1 − p)·ε instead of ε, as in arXiv 1207.0580; default false. */
  readonly momentumScaled?: boolean
  /** λ ≥ 0 of the L2 penalty λ/2·‖w‖², added to the gradient; default 0. */
  readonly weightDecay?: number
  /** True: the penalty falls on biases and scales (rank 0 and 1) too; default false. */
  readonly decayBiases?: boolean
  /** A limit on the squared length of each unit's incoming weights, held after every step. */
  readonly maxSquaredNorm?: MaxSquaredNorm
  /** The largest global norm of the gradients; see `clipByGlobalNorm`. Absent: no clipping. */
  readonly clip?: number
}

/**
 * Stochastic gradient descent with momentum, in place, one fused kernel call for each parameter:
 * g = gradient + λ·w; v ← p·v − ε·g; w ← w + v; then max-norm (Hinton et al. 2012, arXiv 1207.0580, appendix A.1).
 *
 * The rate is inside the velocity: where it changes, the steps already under way keep the rate that they were given
 * (PyTorch's SGD rescales them; with a constant rate the two agree).
 */
export function sgd(options: SgdOptions): Optimizer {
  const rate = asSchedule(options.rate)
  const momentum = asSchedule(options.momentum ?? 0)
  const weightDecay = finiteNumber('sgd', 'weightDecay', options.weightDecay ?? 0, 0)
  const clip = options.clip === undefined ? undefined : finiteNumber('sgd', 'clip', options.clip, 0, true)
  const { maxSquaredNorm, decayBiases = false, momentumScaled = false } = options
  if (maxSquaredNorm !== undefined) finiteNumber('sgd', 'maxSquaredNorm.limit', maxSquaredNorm.limit, 0, true)
  const memory = slots('sgd', ['velocity'])

  return {
    name: 'sgd',
    step(parameters: TensorMap, gradients: TensorMap, at) {
      const pairs = trained('sgd.step', parameters, gradients)
      if (maxSquaredNorm !== undefined && !memory.opened) checkUnits('sgd', maxSquaredNorm, parameters)
      memory.open(gradients)
      const p = finiteNumber('sgd.step', 'momentum', momentum(at), 0)
      if (p >= 1) throw new ArgumentError('sgd.step', 'momentum', 'in [0, 1)', p)
      const epsilon = finiteNumber('sgd.step', 'rate', rate(at), 0) * (momentumScaled ? 1 - p : 1)
      const clipped = clip === undefined ? undefined : clipByGlobalNorm(gradients, clip)
      for (const { name, parameter, gradient } of pairs)
        sgdKernel({
          parameter,
          gradient,
          velocity: memory.of('velocity', name),
          rate: epsilon,
          momentum: p,
          weightDecay: decayBiases || parameter.dims.length > 1 ? weightDecay : 0,
          gradientScale: clipped?.scale ?? 1,
          ...(maxSquaredNorm && unitsOf(maxSquaredNorm, name)),
        })
      memory.advance()
      return { rate: epsilon, ...(clipped && { gradientNorm: clipped.norm }) }
    },
    state: memory.state,
    restore: memory.restore,
  }
}
