import type { Tensor } from '@imago/tensor'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { checkTemperature } from '../guard.js'
import { type RowLoss, type TeacherOptions, teacherLoss } from './teacher-loss.js'

/** Teacher −∞ is no mass. */
export interface TotalVariationOptions<X extends AnyTensor = Tensor> extends TeacherOptions<X> {
  /** T in [1e-38, 1e30]; 1 unless given. */
  readonly temperature?: number | undefined
}

/**
 * Σ w·½·Σ_c |q_c − p_c| / Σ w, the mass that softmax(z/T) and softmax(v/T) do not share, in [0, 1], and its gradient
 * (as in f-Distill: Wen et al. 2023). Where q_c = p_c the derivative is taken as 0.
 *
 * @throws ShapeError, ArgumentError (T, weights, mask), NumericError naming the row of a NaN or +∞
 */
export function totalVariation(options: TotalVariationOptions): RowLoss
export function totalVariation(options: TotalVariationOptions<DeviceTensor>): RowLoss<DeviceTensor>
export function totalVariation(options: TotalVariationOptions<AnyTensor>): RowLoss<AnyTensor> {
  const temperature = checkTemperature('totalVariation', options.temperature ?? 1)
  return teacherLoss('totalVariation', 'total_variation', options, [temperature])
}
