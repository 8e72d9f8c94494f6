import { adamw as adamwKernel } from '@imago/kernels'
import { ArgumentError, type TensorMap } from '@imago/tensor'
import { clipByGlobalNorm } from './clip-by-global-norm.js'
import { finiteNumber } from './finite-number.js'
import { checkUnits, type MaxSquaredNorm, unitsOf } from './max-squared-norm.js'
import type { Optimizer, Schedule } from './optimizer.js'
import { asSchedule } from './schedules/constant.js'
import { slots } from './slots.js'
import { trained } from './trained.js'

export interface AdamwOptions {
  /** The learning rate; default 1e-3. */
  readonly rate?: number | Schedule
  /** Decay of the mean of gradients, in [0, 1); default 0.9. */
  readonly beta1?: number
  /** Decay of the mean of squared gradients, in [0, 1); default 0.999. */
  readonly beta2?: number
  /** Added to the root of the second moment; default 1e-8. */
  readonly epsilon?: number
  /** Decoupled weight decay λ: w ← (1 − rate·λ)·w; default 0, which is Adam. */
  readonly weightDecay?: number
  /** True: biases and scales (rank 0 and 1) decay too; default false. */
  readonly decayBiases?: boolean
  /** A limit on the squared length of each unit's incoming weights, held after every step. */
  readonly maxSquaredNorm?: MaxSquaredNorm
  /** The largest global norm of the gradients; see `clipByGlobalNorm`. Absent: no clipping. */
  readonly clip?: number
}

/** AdamW (Loshchilov & Hutter 2019, algorithm 2), then max-norm, in place, one fused kernel call for each parameter. */
export function adamw(options: AdamwOptions = {}): Optimizer {
  const rate = asSchedule(options.rate ?? 1e-3)
  const beta1 = share('beta1', options.beta1 ?? 0.9)
  const beta2 = share('beta2', options.beta2 ?? 0.999)
  const epsilon = finiteNumber('adamw', 'epsilon', options.epsilon ?? 1e-8, 0, true)
  const weightDecay = finiteNumber('adamw', 'weightDecay', options.weightDecay ?? 0, 0)
  const clip = options.clip === undefined ? undefined : finiteNumber('adamw', 'clip', options.clip, 0, true)
  const { maxSquaredNorm, decayBiases = false } = options
  if (maxSquaredNorm !== undefined) finiteNumber('adamw', 'maxSquaredNorm.limit', maxSquaredNorm.limit, 0, true)
  const memory = slots('adamw', ['m', 'v'])

  return {
    name: 'adamw',
    step(parameters: TensorMap, gradients: TensorMap, at) {
      const pairs = trained('adamw.step', parameters, gradients)
      if (maxSquaredNorm !== undefined && !memory.opened) checkUnits('adamw', maxSquaredNorm, parameters)
      memory.open(gradients)
      const step = memory.step + 1
      const eta = finiteNumber('adamw.step', 'rate', rate(at), 0)
      const clipped = clip === undefined ? undefined : clipByGlobalNorm(gradients, clip)
      for (const { name, parameter, gradient } of pairs)
        adamwKernel({
          parameter,
          gradient,
          m: memory.of('m', name),
          v: memory.of('v', name),
          rate: eta,
          beta1,
          beta2,
          epsilon,
          weightDecay: decayBiases || parameter.dims.length > 1 ? weightDecay : 0,
          gradientScale: clipped?.scale ?? 1,
          step,
          ...(maxSquaredNorm && unitsOf(maxSquaredNorm, name)),
        })
      memory.advance()
      return { rate: eta, ...(clipped && { gradientNorm: clipped.norm }) }
    },
    state: memory.state,
    restore: memory.restore,
  }
}

function share(argument: string, value: number): number {
  if (value >= 0 && value < 1) return value
  throw new ArgumentError('adamw', argument, 'in [0, 1)', value)
}
