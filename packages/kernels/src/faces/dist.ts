import { ArgumentError, type Tensor } from '@imago/tensor'
import { run } from '../backend.js'
import type { AnyTensor, Beside, DeviceTensor, Value } from '../devices/device-tensor.js'
import { checkTemperature, factor } from '../guard.js'
import { numbers } from './place.js'
import { rows, type TeacherType, teacherTypes } from './rows.js'
import type { TeacherOptions } from './teacher-loss.js'

/** Teacher −∞ is no mass. */
export interface DistOptions<X extends AnyTensor = Tensor> extends TeacherOptions<X> {
  /** T in [1e-38, 1e30]; 1 unless given. */
  readonly temperature?: number | undefined
  /** β ≥ 0 of the rows' term; 1 unless given. */
  readonly beta?: number | undefined
  /** γ ≥ 0 of the classes' term; 1 unless given. */
  readonly gamma?: number | undefined
}

export interface Dist<X extends AnyTensor = Tensor> {
  /** β·inter + γ·intra. */
  readonly value: Value<X>
  /** Σ w·(1 − ρ_row) / Σ w: the classes of a sample against each other. */
  readonly inter: Value<X>
  /** Σ_c (1 − ρ_c) / C: the samples of the batch against each other, class by class. */
  readonly intra: Value<X>
  /** dvalue/dstudent `[N, C]`. */
  readonly gradient: Beside<X, 'float32'>
}

/**
 * Knowledge distillation from a stronger teacher (DIST: Huang, You, Wang, Qian & Xu 2022, §4): not the teacher's probabilities but their
 * relations, by Pearson's correlation ρ of softmax(z/T) and softmax(v/T): β·inter + γ·intra. Where one of the two does not
 * vary (one row alone has no `intra`) ρ is 0, and so is its gradient.
 * As in the paper there is no factor T² (the authors' code has it): ρ does not see the scale, so gradients do not fall with T.
 *
 * @throws ShapeError, ArgumentError (T, β, γ, weights, mask), NumericError naming the row of a NaN or +∞
 */
export function dist(options: DistOptions): Dist
export function dist(options: DistOptions<DeviceTensor>): Dist<DeviceTensor>
export function dist(options: DistOptions<AnyTensor>): Dist<AnyTensor> {
  const caller = 'dist'
  const r = rows(caller, options)
  if (r.teacher === null) throw new ArgumentError(caller, 'teacher', 'a tensor [N, C]', undefined)
  const temperature = checkTemperature(caller, options.temperature ?? 1)
  const beta = factor(caller, 'beta', options.beta ?? 1)
  const gamma = factor(caller, 'gamma', options.gamma ?? 1)
  const type = teacherTypes.indexOf(options.teacher.type as TeacherType)
  const result = numbers(options.student, 3)
  run(
    caller,
    'dist',
    options.backend,
    [r.student, r.teacher, r.rowWeights, r.out, result.memory, r.classMask],
    [r.rows, r.classes, temperature, beta, gamma, type],
  )
  const [value, inter, intra] = result.take()
  return { value: value!, inter: inter!, intra: intra!, gradient: r.gradient }
}
