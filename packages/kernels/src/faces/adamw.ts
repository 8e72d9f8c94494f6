import type { Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { finite, fraction, positive, whole } from '../guard.js'
import { type WeightOptions, weights } from './weights.js'

export interface AdamwOptions<X extends AnyTensor = Tensor> extends WeightOptions<X> {
  /** First moment, changed in place; start with zeros. */
  readonly m: X
  /** Second moment, changed in place; start with zeros. */
  readonly v: X
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
 * One step of AdamW in place (Loshchilov & Hutter 2019, algorithm 2); with weightDecay 0 it is Adam (Kingma & Ba 2015). Units
 * longer than the limit are then scaled down (Hinton et al. 2012, arXiv 1207.0580, §2).
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function adamw(options: AdamwOptions<Tensor> | AdamwOptions<DeviceTensor>): void {
  const caller = 'adamw'
  const { m, v } = options
  const { buffers, rows, columns, unitAxis, maxSquaredNorm } = weights(caller, options, { m, v })
  const scalars = [
    rows,
    columns,
    finite(caller, 'rate', options.rate),
    fraction(caller, 'beta1', options.beta1 ?? 0.9, true),
    fraction(caller, 'beta2', options.beta2 ?? 0.999, true),
    positive(caller, 'epsilon', options.epsilon ?? 1e-8),
    finite(caller, 'weightDecay', options.weightDecay ?? 0),
    finite(caller, 'gradientScale', options.gradientScale ?? 1),
    whole(caller, 'step', options.step, 1, Number.MAX_SAFE_INTEGER),
    unitAxis,
    maxSquaredNorm,
  ]
  if (rows * columns > 0) run(caller, 'adamw', options.backend, buffers, scalars)
}
