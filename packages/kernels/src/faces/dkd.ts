import { ArgumentError, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import type { AnyTensor, Beside, DeviceTensor, Value } from '../devices/device-tensor.js'
import { checkTemperature, factor } from '../guard.js'
import { numbers } from './place.js'
import { ignoreIndexOf, type LabelOptions, rows, type TeacherType, teacherTypes } from './rows.js'
import type { TeacherOptions } from './teacher-loss.js'

/** Teacher −∞ is no mass. */
export interface DkdOptions<X extends AnyTensor = Tensor> extends TeacherOptions<X>, LabelOptions {
  /** Classes `[N]`, int32; −1: unlabelled, adds 0 and counts in the mean. */
  readonly labels: X
  /** T in [1e-38, 1e30]; the authors take 4 for CIFAR-100, 1 for ImageNet. */
  readonly temperature: number
  /** α ≥ 0 of the target's term; 1 unless given. */
  readonly alpha?: number | undefined
  /** β ≥ 0 of the other classes' term; 8 unless given, as the authors take for CIFAR-100. */
  readonly beta?: number | undefined
}

export interface Dkd<X extends AnyTensor = Tensor> {
  /** α·target + β·rest, in nats. */
  readonly value: Value<X>
  /** Σ w·T²·KL of (label, all others) / Σ w. */
  readonly target: Value<X>
  /** Σ w·T²·KL among the others / Σ w. */
  readonly rest: Value<X>
  /** dvalue/dstudent `[N, C]`. */
  readonly gradient: Beside<X, 'float32'>
}

/**
 * Decoupled knowledge distillation (Zhao, Cui, Song, Qiu & Liang 2022, §3): KL(p ‖ q) is TCKD + (1 − p_t)·NCKD, TCKD that of the two
 * classes "label" and "rest", NCKD that of the softmaxes over the rest; DKD gives the two terms weights of their own:
 * Σ w·T²·(α·TCKD + β·NCKD) / Σ w, with the factor T² of the authors' code. With α = 1 and β = 1 − p_t it is T²·KL.
 *
 * @throws ShapeError, ArgumentError (T, α, β, labels out of range, weights, mask), NumericError naming the row of a NaN or +∞
 */
export function dkd(options: DkdOptions): Dkd
export function dkd(options: DkdOptions<DeviceTensor>): Dkd<DeviceTensor>
export function dkd(options: DkdOptions<AnyTensor>): Dkd<AnyTensor> {
  const caller = 'dkd'
  const r = rows(caller, options)
  if (r.teacher === null) throw new ArgumentError(caller, 'teacher', 'a tensor [N, C]', undefined)
  if (r.labels === null) throw new ArgumentError(caller, 'labels', 'a tensor [N]', undefined)
  const temperature = checkTemperature(caller, options.temperature)
  const alpha = factor(caller, 'alpha', options.alpha ?? 1)
  const beta = factor(caller, 'beta', options.beta ?? 8)
  const type = teacherTypes.indexOf(options.teacher.type as TeacherType)
  const result = numbers(options.student, 3)
  run(
    caller,
    'dkd',
    options.backend,
    [r.student, r.teacher, r.labels, r.rowWeights, r.out, result.memory, r.classMask],
    [r.rows, r.classes, temperature, alpha, beta, ignoreIndexOf(caller, options), type],
  )
  const [value, target, rest] = result.take()
  return { value: value!, target: target!, rest: rest!, gradient: r.gradient }
}
