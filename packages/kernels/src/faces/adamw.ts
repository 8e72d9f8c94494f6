import { dims, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import { finite, fraction, memory, positive, whole } from '../guard.js'
import { checkApart } from './slots.js'

export interface AdamwOptions {
  /** Changed in place, float32, any dims. */
  readonly parameter: Tensor
  /** Same dims, float32. */
  readonly gradient: Tensor
  /** First moment, changed in place; start with zeros. */
  readonly m: Tensor
  /** Second moment, changed in place; start with zeros. */
  readonly v: Tensor
  readonly rate: number
  /** 0.9 unless given. */
  readonly beta1?: number | undefined
  /** 0.999 unless given. */
  readonly beta2?: number | undefined
  /** 1e-8 unless given. */
  readonly epsilon?: number | undefined
  /** Decoupled: w shrinks by rate·weightDecay. 0 unless given. */
  readonly weightDecay?: number | undefined
  /** Multiplies the gradient first; 1 unless given. */
  readonly gradientScale?: number | undefined
  /** Which step this is, from 1: the moments' bias is corrected by it. */
  readonly step: number
  readonly backend?: Backend | undefined
}

/**
 * One step of AdamW in place (Loshchilov & Hutter 2019, algorithm 2); with weightDecay 0 it is Adam (Kingma & Ba 2015).
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function adamw(options: AdamwOptions): void {
  const caller = 'adamw'
  const { parameter, gradient, m, v } = options
  dims(caller, { parameter: [parameter, '...', 'float32'] })
  const pattern = parameter.dims.join(' ')
  dims(caller, { gradient: [gradient, pattern, 'float32'], m: [m, pattern, 'float32'], v: [v, pattern, 'float32'] })
  const arrays = {
    parameter: memory(caller, 'parameter', parameter, 'float32'),
    gradient: memory(caller, 'gradient', gradient, 'float32'),
    m: memory(caller, 'm', m, 'float32'),
    v: memory(caller, 'v', v, 'float32'),
  }
  checkApart(caller, arrays)
  const scalars = [
    arrays.parameter.length,
    finite(caller, 'rate', options.rate),
    fraction(caller, 'beta1', options.beta1 ?? 0.9, true),
    fraction(caller, 'beta2', options.beta2 ?? 0.999, true),
    positive(caller, 'epsilon', options.epsilon ?? 1e-8),
    finite(caller, 'weightDecay', options.weightDecay ?? 0),
    finite(caller, 'gradientScale', options.gradientScale ?? 1),
    whole(caller, 'step', options.step, 1, Number.MAX_SAFE_INTEGER),
  ]
  if (arrays.parameter.length > 0) run(caller, 'adamw', options.backend, Object.values(arrays), scalars)
}
