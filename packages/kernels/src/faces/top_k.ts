import { dims, ShapeError, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, Beside, DeviceTensor } from '../devices/device-tensor.js'
import { checkTemperature, memory, whole } from '../guard.js'
import { resultIn } from './place.js'

export interface TopKOptions<X extends AnyTensor = Tensor> {
  /** Logits `[N, C]`, float32; −∞ is no mass. */
  readonly logits: X
  /** How many, in [1, min(1024, C)]. */
  readonly k: number
  /** T of the softmax whose normaliser and tail are told; left out: 1. */
  readonly temperature?: number | undefined
  readonly backend?: Backend | undefined
}

export interface TopK<X extends AnyTensor = Tensor> {
  /** The largest logits `[N, k]`, descending. */
  readonly values: Beside<X, 'float32'>
  /** Their classes `[N, k]`; equal logits by lower class. */
  readonly indices: Beside<X, 'int32'>
  /** ln Σ_c e^(z_c/T), `[N]`, nats: a selected class has probability e^(value/T − logSumExp). */
  readonly logSumExp: Beside<X, 'float64'>
  /**
   * ln of the probability of all classes that are not selected, `[N]`, nats; −∞ where there are none. It is summed over them, not
   * 1 − Σ p, so it keeps its digits however little they weigh.
   */
  readonly logTail: Beside<X, 'float64'>
}

/**
 * The k largest logits of each row with their classes, and what is needed to go back to probabilities at a temperature: what
 * a store of soft targets keeps of a teacher with many classes.
 *
 * @throws ShapeError, ArgumentError, NumericError for NaN, +∞ or a row of −∞ alone, UnsupportedError for a backend that is not there
 */
export function topK(options: TopKOptions): TopK
export function topK(options: TopKOptions<DeviceTensor>): TopK<DeviceTensor>
export function topK({ logits, k, temperature = 1, backend }: TopKOptions<AnyTensor>): TopK<AnyTensor> {
  const caller = 'topK'
  const { N, C } = dims(caller, { logits: [logits, 'N C', 'float32'] }) as { N: number; C: number }
  if (C === 0) throw new ShapeError(caller, 'logits', '[N, C] with at least one class', `[${N}, 0]`)
  whole(caller, 'k', k, 1, Math.min(1024, C))
  checkTemperature(caller, temperature)
  const read = memory(caller, 'logits', logits, 'float32')
  const values = resultIn(caller, undefined, logits, 'float32', [N, k])
  const indices = resultIn(caller, undefined, logits, 'int32', [N, k])
  const logSumExp = resultIn(caller, undefined, logits, 'float64', [N])
  const logTail = resultIn(caller, undefined, logits, 'float64', [N])
  const written = [values.written, indices.written, logSumExp.written, logTail.written]
  if (N > 0) run(caller, 'top_k', backend, [read, ...written], [N, C, k, temperature])
  return { values: values.result, indices: indices.result, logSumExp: logSumExp.result, logTail: logTail.result }
}
