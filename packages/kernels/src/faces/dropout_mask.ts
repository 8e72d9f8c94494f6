import { ArgumentError, dims, type Rng, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { whole } from '../guard.js'
import { dropProbability } from './drop.js'
import { resultIn } from './place.js'

export interface DropoutMaskOptions<X extends AnyTensor = Tensor> {
  /** The dims of the mask; or `out`. */
  readonly dims?: readonly number[] | undefined
  /** A float32 tensor to fill instead of new memory: on a device, the mask is made there. */
  readonly out?: X | undefined
  /** That an element is dropped, in [0, 1); taken to the nearest 1/65536. */
  readonly probability: number
  /** Moves on by one Philox block for every 8 elements. */
  readonly rng: Rng
  readonly backend?: Backend | undefined
}

/**
 * A mask to multiply with (inverted dropout): 0 with the probability p, else 1/(1 − p), p the nearest multiple of 1/65536. The
 * same bits on every backend.
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function dropoutMask(options: DropoutMaskOptions): Tensor<'float32'>
export function dropoutMask(options: DropoutMaskOptions<DeviceTensor>): DeviceTensor<'float32'>
export function dropoutMask(options: DropoutMaskOptions<AnyTensor>): AnyTensor<'float32'> {
  const caller = 'dropoutMask'
  const { out, probability, rng, backend } = options
  const shape = options.dims ?? out?.dims
  if (!Array.isArray(shape)) throw new ArgumentError(caller, 'dims', 'a list of sizes, or "out" a tensor', shape)
  dims(caller, { out: [out, '...', 'float32'] })
  for (const size of shape) whole(caller, 'dims', size, 0, Number.MAX_SAFE_INTEGER)
  dims(caller, { out: [out, shape.join(' ')] })
  dropProbability(caller, probability)
  const { result, written } = resultIn(caller, out, undefined, 'float32', shape)
  const { key, block } = rng.reserve(Math.ceil(written.length / 8))
  if (written.length > 0)
    run(caller, 'dropout_mask', backend, [written], [written.length, probability, key[0], key[1], block])
  return result
}
