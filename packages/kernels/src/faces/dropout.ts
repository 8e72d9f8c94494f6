import { dims, type Rng, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { checkDisjoint, memory } from '../guard.js'
import { dropProbability } from './drop.js'
import { resultIn } from './place.js'

export interface DropoutOptions<X extends AnyTensor = Tensor> {
  /** float32, any dims. */
  readonly x: X
  /** That an element is dropped, in [0, 1); taken to the nearest 1/65536. */
  readonly probability: number
  /** Moves on by one Philox block for every 8 elements. */
  readonly rng: Rng
  /** Where the result goes, same dims; may be x itself. */
  readonly out?: X | undefined
  readonly backend?: Backend | undefined
}

/**
 * Inverted dropout in one pass: 0 with the probability p, else x/(1 − p), p the nearest multiple of 1/65536; what is dropped is 0
 * whatever it was. The mask is that of `dropoutMask` from the same generator, so the gradient is this function of the
 * upstream gradient with `restoreRng(state)` of the state before: no mask need be kept (Srivastava et al. 2014).
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function dropout(options: DropoutOptions): Tensor<'float32'>
export function dropout(options: DropoutOptions<DeviceTensor>): DeviceTensor<'float32'>
export function dropout(options: DropoutOptions<AnyTensor>): AnyTensor<'float32'> {
  const caller = 'dropout'
  const { x, out, rng, backend } = options
  dims(caller, { x: [x, '...', 'float32'] })
  dims(caller, { out: [out, x.dims.join(' '), 'float32'] })
  const probability = dropProbability(caller, options.probability)
  const read = memory(caller, 'x', x, 'float32')
  const { result, written } = resultIn(caller, out, x, 'float32', x.dims)
  if (out) checkDisjoint(caller, 'out', written, { x: read }, read)
  const { key, block } = rng.reserve(Math.ceil(read.length / 8))
  if (read.length > 0)
    run(caller, 'dropout', backend, [read, written], [read.length, probability, key[0], key[1], block])
  return result
}
