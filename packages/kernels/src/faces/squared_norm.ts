import { dims, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import { memory } from '../guard.js'

export interface SquaredNormOptions {
  /** float32, any dims. */
  readonly x: Tensor
  readonly backend?: Backend | undefined
}

/**
 * Σ x², summed in float64 in a fixed order: what clipping by the norm of all gradients adds up. NaN in, NaN out.
 *
 * @throws ShapeError, UnsupportedError for a backend that is not there
 */
export function squaredNorm({ x, backend }: SquaredNormOptions): number {
  const caller = 'squaredNorm'
  dims(caller, { x: [x, '...', 'float32'] })
  const data = memory(caller, 'x', x, 'float32')
  const result = new Float64Array(1)
  if (data.length > 0) run(caller, 'squared_norm', backend, [data, result], [data.length])
  return result[0]!
}
