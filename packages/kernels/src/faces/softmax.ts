import { dims, elementCount, ShapeError, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { checkDisjoint, checkTemperature, memory } from '../guard.js'
import { resultIn } from './place.js'

export interface SoftmaxOptions<X extends AnyTensor = Tensor> {
  /** Logits `[..., C]`, float32. */
  readonly logits: X
  /** T in [1e-38, 1e30]; 1 unless given. */
  readonly temperature?: number | undefined
  /** Return log softmax, in nats. */
  readonly log?: boolean | undefined
  /** Where the result goes, same dims; may be the logits themselves. */
  readonly out?: X | undefined
  readonly backend?: Backend | undefined
}

/**
 * softmax(logits / T) over the last dim, or its logarithm (Hinton, Vinyals & Dean 2015, eq. 1).
 *
 * @throws ShapeError, ArgumentError (T), NumericError naming the row of a NaN, +∞, or of −∞ alone
 */
export function softmax(options: SoftmaxOptions): Tensor<'float32'>
export function softmax(options: SoftmaxOptions<DeviceTensor>): DeviceTensor<'float32'>
export function softmax(options: SoftmaxOptions<AnyTensor>): AnyTensor<'float32'> {
  const caller = 'softmax'
  const { logits, out } = options
  const { C } = dims(caller, { logits: [logits, '... C', 'float32'] }) as { C: number }
  dims(caller, { out: [out, logits.dims.join(' '), 'float32'] })
  if (C === 0) throw new ShapeError(caller, 'logits', '[..., C] with at least one class', `[${logits.dims.join(', ')}]`)
  const temperature = checkTemperature(caller, options.temperature ?? 1)
  const read = memory(caller, 'logits', logits, 'float32')
  const { result, written } = resultIn(caller, out, logits, 'float32', logits.dims)
  if (out) checkDisjoint(caller, 'out', written, { logits: read }, read)
  run(
    caller,
    'softmax',
    options.backend,
    [read, written],
    [elementCount(logits.dims) / C, C, temperature, options.log ? 1 : 0],
  )
  return result
}
