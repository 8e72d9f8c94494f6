import type { Tensor } from '@imago/tensor'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { checkTemperature } from '../guard.js'
import { type RowLoss, type TeacherOptions, teacherLoss } from './teacher-loss.js'

export interface KlDivergenceOptions<X extends AnyTensor = Tensor> extends TeacherOptions<X> {
  /** T in [1e-38, 1e30]; 1 unless given. */
  readonly temperature?: number | undefined
}

/**
 * Σ w·KL(softmax(v/T) ‖ softmax(z/T)) / Σ w in nats, without the factor T², and its gradient w·(q − p)/T / Σ w.
 * Teacher −∞ is no mass.
 *
 * @throws ShapeError, ArgumentError (T, weights, mask), NumericError naming the row of a NaN or +∞
 */
export function klDivergence(options: KlDivergenceOptions): RowLoss
export function klDivergence(options: KlDivergenceOptions<DeviceTensor>): RowLoss<DeviceTensor>
export function klDivergence(options: KlDivergenceOptions<AnyTensor>): RowLoss<AnyTensor> {
  const temperature = checkTemperature('klDivergence', options.temperature ?? 1)
  return teacherLoss('klDivergence', 'kl_divergence', options, [temperature])
}
