import { ArgumentError, type Tensor } from '@imago/tensor'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { checkTemperature } from '../guard.js'
import { type RowLoss, type TeacherOptions, teacherLoss } from './teacher-loss.js'

/** Teacher −∞ is no mass. */
export interface JsDivergenceOptions<X extends AnyTensor = Tensor> extends TeacherOptions<X> {
  /** T in [1e-38, 1e30]; 1 unless given. */
  readonly temperature?: number | undefined
  /** β in (0, 1): the teacher's share in the mixture; ½ (the symmetric Jensen-Shannon divergence) unless given. */
  readonly beta?: number | undefined
}

/**
 * Σ w·[β·KL(p ‖ m) + (1 − β)·KL(q ‖ m)] / Σ w in nats, m = β·p + (1 − β)·q, p = softmax(v/T), q = softmax(z/T), without the factor T²,
 * and its gradient (generalized Jensen-Shannon divergence as in GKD: Agarwal et al. 2024, §2). At most h(β) = −β·ln β − (1 − β)·ln(1 − β).
 * Divided by β it tends to KL(p ‖ q) as β → 0; divided by 1 − β to KL(q ‖ p) as β → 1.
 *
 * @throws ShapeError, ArgumentError (T, β, weights, mask), NumericError naming the row of a NaN or +∞
 */
export function jsDivergence(options: JsDivergenceOptions): RowLoss
export function jsDivergence(options: JsDivergenceOptions<DeviceTensor>): RowLoss<DeviceTensor>
export function jsDivergence(options: JsDivergenceOptions<AnyTensor>): RowLoss<AnyTensor> {
  const temperature = checkTemperature('jsDivergence', options.temperature ?? 1)
  const beta = options.beta ?? 0.5
  if (!(typeof beta === 'number' && beta > 0 && beta < 1))
    throw new ArgumentError('jsDivergence', 'beta', 'a number in (0, 1); 0 and 1 are klDivergence and reverseKl', beta)
  return teacherLoss('jsDivergence', 'js_divergence', options, [temperature, beta])
}
