import { ArgumentError, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import { fraction } from '../guard.js'
import { ignoreIndexOf, type LabelOptions, type RowOptions, rows } from './rows.js'

export interface CrossEntropyOptions extends RowOptions, LabelOptions {
  /** Logits `[N, C]`, float32. */
  readonly student: Tensor
  /** Classes `[N]`, int32; −1: unlabelled, adds 0 and counts in the mean, as in `softTargetLoss`. */
  readonly labels: Tensor
  /** ε in [0, 1]: targets are (1 − ε)·onehot + ε/C; 0 unless given. */
  readonly smoothing?: number | undefined
}

export interface RowLoss {
  /** The mean over the rows that count, in nats (logitRegression: squared logits). */
  readonly value: number
  /** dvalue/dstudent `[N, C]`. */
  readonly gradient: Tensor<'float32'>
}

/**
 * −Σ w·Σ_c t_c·log softmax(z)_c / Σ w and its gradient with respect to the logits z; label smoothing as in Szegedy et al. 2016, §7.
 *
 * @throws ShapeError, ArgumentError (labels out of range, ε, weights), NumericError naming the row of a NaN or +∞
 */
export function crossEntropy(options: CrossEntropyOptions): RowLoss {
  const caller = 'crossEntropy'
  const r = rows(caller, options)
  if (r.labels === null) throw new ArgumentError(caller, 'labels', 'a tensor [N]', undefined)
  const smoothing = fraction(caller, 'smoothing', options.smoothing ?? 0)
  const result = new Float64Array(1)
  run(
    caller,
    'cross_entropy',
    options.backend,
    [r.student, r.labels, r.rowWeights, r.out, result],
    [r.rows, r.classes, smoothing, ignoreIndexOf(caller, options)],
  )
  return { value: result[0]!, gradient: r.gradient }
}
