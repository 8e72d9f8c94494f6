import { ArgumentError, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import type { RowLoss } from './cross_entropy.js'
import { type RowOptions, rows } from './rows.js'

export interface LogitRegressionOptions extends RowOptions {
  /** Logits `[N, C]`, float32, finite. */
  readonly student: Tensor
  /** Logits `[N, C]`, float32, finite. */
  readonly teacher: Tensor
  /** Take the mean over the classes out of both first: softmax does not see it either. False unless given. */
  readonly zeroMean?: boolean | undefined
}

/**
 * Σ w·½·Σ_c (z − v)² / Σ w and its gradient (Ba & Caruana 2014, §2.2): the student regresses the teacher's logits.
 *
 * @throws ShapeError, ArgumentError (weights), NumericError naming the row of what is not finite
 */
export function logitRegression(options: LogitRegressionOptions): RowLoss {
  const caller = 'logitRegression'
  const r = rows(caller, options)
  if (r.teacher === null) throw new ArgumentError(caller, 'teacher', 'a tensor [N, C]', undefined)
  const result = new Float64Array(1)
  run(
    caller,
    'logit_regression',
    options.backend,
    [r.student, r.teacher, r.rowWeights, r.out, result],
    [r.rows, r.classes, options.zeroMean ? 1 : 0],
  )
  return { value: result[0]!, gradient: r.gradient }
}
