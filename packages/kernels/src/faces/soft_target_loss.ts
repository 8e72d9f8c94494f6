import { ArgumentError, type Tensor, UnsupportedError } from '@imago/tensor'
import { run } from '../backend.js'
import { type AnyTensor, type Beside, type DeviceTensor, isDeviceTensor, type Value } from '../devices/device-tensor.js'
import { checkTemperature, fraction } from '../guard.js'
import { crossEntropy } from './cross_entropy.js'
import { ema } from './ema.js'
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
  /** In place of labels: probabilities `[N, C]`, float32, ≥ 0; each row sums to 1 within 1e-3. On the host. */
  readonly distribution?: X | undefined
  /** a in [0, 1], the weight of the cross entropy with the labels or the distribution; 0 unless given. */
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
 * (Hinton, Vinyals & Dean 2015, §2): soft targets and hard labels in one pass from raw logits. With a distribution t in place of labels CE is
 * −Σ t·log softmax(z), by a second kernel.
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
  const { labels, distribution } = options
  if (hardWeight > 0 && labels === undefined && distribution === undefined)
    throw new ArgumentError(caller, 'labels', 'given where hardWeight > 0, or a distribution', undefined)
  if (labels !== undefined && distribution !== undefined)
    throw new ArgumentError(caller, 'distribution', 'left out where there are labels', distribution)
  if (r.teacher === null) throw new ArgumentError(caller, 'teacher', 'a tensor [N, C]', undefined)
  if (distribution !== undefined)
    return softAndDistribution(options, distribution, hardWeight) as SoftTargetLoss<AnyTensor>
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

/**
 * The soft-target loss whose hard term is the cross entropy with a distribution: of two kernels, and of one that mixes their gradients.
 * The cross entropy comes first, since the other may write its gradient into the student.
 */
function softAndDistribution(
  options: SoftTargetLossOptions<AnyTensor>,
  distribution: AnyTensor,
  hardWeight: number,
): SoftTargetLoss {
  if ([options.student, distribution].some(isDeviceTensor))
    throw new UnsupportedError(
      'softTargetLoss: distribution on a device',
      'crossEntropy({ student, distribution }) beside it gives the hard term there',
    )
  const { hardWeight: _, distribution: __, ...soft } = options as SoftTargetLossOptions<Tensor>
  const { student, rowWeights, classMask, backend } = soft
  const hard = crossEntropy({ student, distribution: distribution as Tensor, rowWeights, classMask, backend })
  const { soft: softValue, gradient } = softTargetLoss(soft)
  ema({ average: gradient, x: hard.gradient, decay: 1 - hardWeight, backend })
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  const value = (hardWeight < 1 ? (1 - hardWeight) * softValue : 0) + (hardWeight > 0 ? hardWeight * hard.value : 0)
  return { value, soft: softValue, hard: hard.value, gradient }
}
