import { ArgumentError, dims, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import type { AnyTensor, DeviceMemory, DeviceTensor } from '../devices/device-tensor.js'
import { checkDisjoint, fraction, type MemoryRange, memory } from '../guard.js'
import { numbers } from './place.js'
import { ignoreIndexOf, type LabelOptions, type RowOptions, rows } from './rows.js'
import type { RowLoss } from './teacher-loss.js'

interface Common<X extends AnyTensor> extends RowOptions<X>, LabelOptions {
  /** Logits `[N, C]`, float32. */
  readonly student: X
  /** ε in [0, 1]: targets are (1 − ε)·t + ε/C; 0 unless given. */
  readonly smoothing?: number | undefined
}

/** What is right for each row: a class, or a distribution over the classes. */
export type CrossEntropyOptions<X extends AnyTensor = Tensor> = Common<X> &
  (
    | {
        /** Classes `[N]`, int32; −1: unlabelled, adds 0 and counts in the mean, as in `softTargetLoss`. */
        readonly labels: X
        readonly distribution?: undefined
      }
    | {
        /** Probabilities `[N, C]`, float32, ≥ 0; each row sums to 1 within 1e-3. Leave a row out by its weight. */
        readonly distribution: X
        readonly labels?: undefined
      }
  )

/**
 * −Σ w·Σ_c t_c·log softmax(z)_c / Σ w in nats and its gradient with respect to the logits z; label smoothing as in Szegedy et al. 2016, §7.
 * t is the onehot row of the label, or the given distribution.
 *
 * @throws ShapeError, ArgumentError (labels out of range, ε, weights, mask), NumericError naming the row of a NaN or +∞, or of what is
 * no distribution
 */
export function crossEntropy(options: CrossEntropyOptions): RowLoss
export function crossEntropy(options: CrossEntropyOptions<DeviceTensor>): RowLoss<DeviceTensor>
export function crossEntropy(options: CrossEntropyOptions<AnyTensor>): RowLoss<AnyTensor> {
  const caller = 'crossEntropy'
  const r = rows(caller, options)
  const { labels, distribution } = options
  if ((labels === undefined) === (distribution === undefined))
    throw new ArgumentError(caller, labels ? 'distribution' : 'labels', 'labels [N] or a distribution [N, C]', labels)
  const targets = distribution ? distributionOf(caller, options.student, distribution, r.out) : null
  const smoothing = fraction(caller, 'smoothing', options.smoothing ?? 0)
  const result = numbers(options.student, 1)
  run(
    caller,
    'cross_entropy',
    options.backend,
    [r.student, r.labels, r.rowWeights, r.out, result.memory, targets, r.classMask],
    [r.rows, r.classes, smoothing, ignoreIndexOf(caller, options)],
  )
  return { value: result.take()[0]!, gradient: r.gradient }
}

function distributionOf(
  caller: string,
  student: AnyTensor,
  distribution: AnyTensor,
  out: MemoryRange,
): Float32Array | DeviceMemory {
  dims(caller, { student: [student, 'N C', 'float32'], distribution: [distribution, 'N C', 'float32'] })
  const read = memory(caller, 'distribution', distribution, 'float32')
  checkDisjoint(caller, 'out', out, { distribution: read })
  return read
}
