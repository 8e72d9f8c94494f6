import type { Tensor } from '@imago/tensor'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { checkTemperature } from '../guard.js'
import { type RowLoss, type TeacherOptions, teacherLoss } from './teacher-loss.js'

/** Teacher −∞ is no mass. */
export interface ReverseKlOptions<X extends AnyTensor = Tensor> extends TeacherOptions<X> {
  /** T in [1e-38, 1e30]; 1 unless given. */
  readonly temperature?: number | undefined
}

/**
 * Σ w·KL(softmax(z/T) ‖ softmax(v/T)) / Σ w in nats, without the factor T²: the student's own expectation, which lets it leave modes of
 * the teacher out (MiniLLM: Gu et al. 2024, §2.1). Its gradient is w·q_c·(ln(q_c/p_c) − KL)/T / Σ w.
 * Infinity where the teacher excludes (−∞) classes to which the student gives mass; the gradient then takes that mass away.
 *
 * @throws ShapeError, ArgumentError (T, weights, mask), NumericError naming the row of a NaN or +∞
 */
export function reverseKl(options: ReverseKlOptions): RowLoss
export function reverseKl(options: ReverseKlOptions<DeviceTensor>): RowLoss<DeviceTensor>
export function reverseKl(options: ReverseKlOptions<AnyTensor>): RowLoss<AnyTensor> {
  const temperature = checkTemperature('reverseKl', options.temperature ?? 1)
  return teacherLoss('reverseKl', 'reverse_kl', options, [temperature])
}
