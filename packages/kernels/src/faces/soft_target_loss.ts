import { ArgumentError, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import { checkTemperature, fraction } from '../guard.js'
import { ignoreIndexOf, type LabelOptions, type RowOptions, rows, type TeacherType, teacherTypes } from './rows.js'

export interface SoftTargetLossOptions extends RowOptions, LabelOptions {
  /** Logits `[N, C]`, float32. */
  readonly student: Tensor
  /** Logits `[N, C]`, float32, float16 or bfloat16; −∞ is no mass. */
  readonly teacher: Tensor
  /** T in [1e-38, 1e30]. */
  readonly temperature: number
  /** Classes `[N]`, int32; −1: unlabelled, the soft term only. */
  readonly labels?: Tensor | undefined
  /** a in [0, 1], the weight of the labels' cross entropy; 0 unless given. */
  readonly hardWeight?: number | undefined
}

export interface SoftTargetLoss {
  /** (1 − a)·soft + a·hard, in nats. */
  readonly value: number
  /** Σ w·T²·KL / Σ w. */
  readonly soft: number
  /** Σ w·CE / Σ w; unlabelled rows add 0. */
  readonly hard: number
  /** dvalue/dstudent `[N, C]`. */
  readonly gradient: Tensor<'float32'>
}

/**
 * Σ_rows w·[(1 − a)·T²·KL(softmax(v/T) ‖ softmax(z/T)) + a·CE(z, y)] / Σ w and its gradient with respect to the student's logits z
 * (Hinton, Vinyals & Dean 2015, §2): soft targets and hard labels in one pass from raw logits.
 * No row left: value 0, gradient 0. Student −∞ where there is mass: value Infinity.
 *
 * @throws ShapeError, ArgumentError (T, a, labels out of range, weights), NumericError naming the row of a NaN or +∞,
 * UnsupportedError for a backend that is not there
 */
export function softTargetLoss(options: SoftTargetLossOptions): SoftTargetLoss {
  const caller = 'softTargetLoss'
  const r = rows(caller, options)
  const temperature = checkTemperature(caller, options.temperature)
  const hardWeight = fraction(caller, 'hardWeight', options.hardWeight ?? 0)
  if (hardWeight > 0 && r.labels === null)
    throw new ArgumentError(caller, 'labels', 'given where hardWeight > 0', undefined)
  if (r.teacher === null) throw new ArgumentError(caller, 'teacher', 'a tensor [N, C]', undefined)
  const result = new Float64Array(3)
  run(
    caller,
    'soft_target_loss',
    options.backend,
    [r.student, r.teacher, r.labels, r.rowWeights, r.out, result, r.classMask],
    [
      r.rows,
      r.classes,
      temperature,
      hardWeight,
      ignoreIndexOf(caller, options),
      teacherTypes.indexOf(options.teacher.type as TeacherType),
    ],
  )
  return { value: result[0]!, soft: result[1]!, hard: result[2]!, gradient: r.gradient }
}
