import { dims, ShapeError, type Tensor, tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import { checkTemperature, memory, whole } from '../guard.js'

export interface TopKOptions {
  /** Logits `[N, C]`, float32; −∞ is no mass. */
  readonly logits: Tensor
  /** How many, in [1, min(1024, C)]. */
  readonly k: number
  /** T of the softmax whose normaliser and tail are told; left out: 1. */
  readonly temperature?: number | undefined
  readonly backend?: Backend | undefined
}

export interface TopK {
  /** The largest logits `[N, k]`, descending. */
  readonly values: Tensor<'float32'>
  /** Their classes `[N, k]`; equal logits by lower class. */
  readonly indices: Tensor<'int32'>
  /** ln Σ_c e^(z_c/T), `[N]`, nats: a selected class has probability e^(value/T − logSumExp). */
  readonly logSumExp: Tensor<'float64'>
  /**
   * ln of the probability of all classes that are not selected, `[N]`, nats; −∞ where there are none. It is summed over them, not
   * 1 − Σ p, so it keeps its digits however little they weigh.
   */
  readonly logTail: Tensor<'float64'>
}

/**
 * The k largest logits of each row with their classes, and what is needed to go back to probabilities at a temperature: what
 * a store of soft targets keeps of a teacher with many classes.
 *
 * @throws ShapeError, ArgumentError, NumericError for NaN, +∞ or a row of −∞ alone, UnsupportedError for a backend that is not there
 */
export function topK({ logits, k, temperature = 1, backend }: TopKOptions): TopK {
  const caller = 'topK'
  const { N, C } = dims(caller, { logits: [logits, 'N C', 'float32'] }) as { N: number; C: number }
  if (C === 0) throw new ShapeError(caller, 'logits', '[N, C] with at least one class', `[${N}, 0]`)
  whole(caller, 'k', k, 1, Math.min(1024, C))
  checkTemperature(caller, temperature)
  const read = memory(caller, 'logits', logits, 'float32')
  const values = new Float32Array(N * k)
  const indices = new Int32Array(N * k)
  const [logSumExp, logTail] = [new Float64Array(N), new Float64Array(N)]
  if (N > 0) run(caller, 'top_k', backend, [read, values, indices, logSumExp, logTail], [N, C, k, temperature])
  return {
    values: tensor('float32', [N, k], values),
    indices: tensor('int32', [N, k], indices),
    logSumExp: tensor('float64', [N], logSumExp),
    logTail: tensor('float64', [N], logTail),
  }
}
