import type { Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { finite } from '../guard.js'
import { type WeightOptions, weights } from './weights.js'

export interface SgdOptions<X extends AnyTensor = Tensor> extends WeightOptions<X> {
  /** Changed in place; same dims, float32. Start with zeros. */
  readonly velocity: X
  /** ε of this step. */
  readonly rate: number
  /** μ; 0 unless given. */
  readonly momentum?: number | undefined
  /** 0 unless given. */
  readonly weightDecay?: number | undefined
  /** Multiplies the gradient first (clipping, means over micro-batches); 1 unless given. */
  readonly gradientScale?: number | undefined
  readonly backend?: Backend | undefined
}

/**
 * One step of gradient descent with momentum, in place: g = gradientScale·gradient + weightDecay·w; v ← μ·v − rate·g; w ← w + v; then
 * units longer than the limit are scaled down (Hinton et al. 2012, arXiv 1207.0580, §2 and appendix A.1). At a constant rate
 * this is `torch.optim.SGD`; when the rate changes, the velocity keeps the steps already taken.
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function sgd(options: SgdOptions<Tensor> | SgdOptions<DeviceTensor>): void {
  const caller = 'sgd'
  const { buffers, rows, columns, unitAxis, maxSquaredNorm } = weights(caller, options, { velocity: options.velocity })
  const scalars = [
    rows,
    columns,
    finite(caller, 'rate', options.rate),
    finite(caller, 'momentum', options.momentum ?? 0),
    finite(caller, 'weightDecay', options.weightDecay ?? 0),
    finite(caller, 'gradientScale', options.gradientScale ?? 1),
    unitAxis,
    maxSquaredNorm,
  ]
  if (rows * columns > 0) run(caller, 'sgd', options.backend, buffers, scalars)
}
