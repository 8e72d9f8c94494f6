import { dims, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, DeviceTensor, Value } from '../devices/device-tensor.js'
import { memory } from '../guard.js'
import { numbers } from './place.js'

export interface SquaredNormOptions<X extends AnyTensor = Tensor> {
  /** float32, any dims. */
  readonly x: X
  readonly backend?: Backend | undefined
}

/**
 * Σ x², summed in float64 in a fixed order: what clipping by the norm of all gradients adds up. NaN in, NaN out.
 *
 * @throws ShapeError, UnsupportedError for a backend that is not there
 */
export function squaredNorm(options: SquaredNormOptions): number
export function squaredNorm(options: SquaredNormOptions<DeviceTensor>): DeviceTensor<'float64'>
export function squaredNorm({ x, backend }: SquaredNormOptions<AnyTensor>): Value<AnyTensor> {
  const caller = 'squaredNorm'
  dims(caller, { x: [x, '...', 'float32'] })
  const data = memory(caller, 'x', x, 'float32')
  const result = numbers(x, 1)
  if (data.length > 0) run(caller, 'squared_norm', backend, [data, result.memory], [data.length])
  return result.take()[0]!
}
