import type { Tensor } from '@imago/tensor'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { type RowLoss, type TeacherOptions, teacherLoss } from './teacher-loss.js'

/** Logits must be finite here, in student and teacher. */
export interface LogitRegressionOptions<X extends AnyTensor = Tensor> extends TeacherOptions<X> {
  /** Take the mean over the classes out of both first: softmax does not see it either. False unless given. */
  readonly zeroMean?: boolean | undefined
}

/**
 * Σ w·½·Σ_c (z − v)² / Σ w and its gradient (Ba & Caruana 2014, §2.2): the student regresses the teacher's logits.
 * Classes that the mask leaves out are in neither sum nor mean.
 *
 * @throws ShapeError, ArgumentError (weights, mask), NumericError naming the row of what is not finite
 */
export function logitRegression(options: LogitRegressionOptions): RowLoss
export function logitRegression(options: LogitRegressionOptions<DeviceTensor>): RowLoss<DeviceTensor>
export function logitRegression(options: LogitRegressionOptions<AnyTensor>): RowLoss<AnyTensor> {
  return teacherLoss('logitRegression', 'logit_regression', options, [options.zeroMean ? 1 : 0])
}
