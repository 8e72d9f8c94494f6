import { ArgumentError, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import type { AnyTensor, Beside, DeviceTensor, Value } from '../devices/device-tensor.js'
import { checkTemperature, fraction } from '../guard.js'
import { numbers } from './place.js'
import { ignoreIndexOf, type LabelOptions, type RowOptions, rows, type TeacherType, teacherTypes } from './rows.js'

export interface SoftTargetLossOptions<X extends AnyTensor = Tensor> extends RowOptions<X>, LabelOptions {
  /** Logits `[N, C]`, float32. */
  readonly student: X
  /** Logits `[N, C]`, float32, float16 or bfloat16; −∞ is no mass. */
  readonly teacher: X
  /** T in [1e-38, 1e30]. */
  readonly temperature: number
  /** Classes `[N]`, int32; −1: unlabelled, the soft term only. */
  readonly labels?: X | undefined
  /** a in [0, 1], the weight of the labels' cross entropy; 0 unless given. */
  readonly hardWeight?: number | undefined
}

export interface SoftTargetLoss<X extends AnyTensor = Tensor> {
  /** (1 − a)·soft + a·hard, in nats. */
  readonly value: Value<X>
  /** Σ w·T²·KL / Σ w. */
  readonly soft: Value<X>
  /** Σ w·CE / Σ w; unlabelled rows add 0. */
  readonly hard: Value<X>
  /** dvalue/dstudent `[N, C]`. */
  readonly gradient: Beside<X, 'float32'>
}

/**
 * Σ_rows w·[(1 − a)·T²·KL(softmax(v/T) ‖ softmax(z/T)) + a·CE(z, y)] / Σ w and its gradient with respect to the student's logits z
 * (Hinton, Vinyals & Dean 2015, §2): soft targets and hard labels in one pass from raw logits.
 * No row left: value 0, gradient 0. Student −∞ where there is mass: value Infinity.
 *
 * @throws ShapeError, ArgumentError (T, a, labels out of range, weights), NumericError naming the row of a NaN or +∞,
 * UnsupportedError for a backend that is not there
 */
export function softTargetLoss(options: SoftTargetLossOptions): SoftTargetLoss
export function softTargetLoss(options: SoftTargetLossOptions<DeviceTensor>): SoftTargetLoss<DeviceTensor>
export function softTargetLoss(options: SoftTargetLossOptions<AnyTensor>): SoftTargetLoss<AnyTensor> {
  const caller = 'softTargetLoss'
  const r = rows(caller, options)
  const temperature = checkTemperature(caller, options.temperature)
  const hardWeight = fraction(caller, 'hardWeight', options.hardWeight ?? 0)
  if (hardWeight > 0 && r.labels === null)
    throw new ArgumentError(caller, 'labels', 'given where hardWeight > 0', undefined)
  if (r.teacher === null) throw new ArgumentError(caller, 'teacher', 'a tensor [N, C]', undefined)
  const result = numbers(options.student, 3)
  run(
    caller,
    'soft_target_loss',
    options.backend,
    [r.student, r.teacher, r.labels, r.rowWeights, r.out, result.memory, r.classMask],
    [
      r.rows,
      r.classes,
      temperature,
      hardWeight,
      ignoreIndexOf(caller, options),
      teacherTypes.indexOf(options.teacher.type as TeacherType),
    ],
  )
  const [value, soft, hard] = result.take()
  return { value: value!, soft: soft!, hard: hard!, gradient: r.gradient }
}
