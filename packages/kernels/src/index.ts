export { type Backend, type BackendName, type BackendReport, backends, useBackend } from './backend.js'
export type { Binding, KernelBuffer, NativeKernel, NativeLibrary } from './binding.js'
export type { DeviceReport } from './devices/cuda-binding.js'
export { type Device, type OnStream, openDevice } from './devices/device.js'
export {
  type AnyTensor,
  type Beside,
  type DeviceMemory,
  type DeviceTensor,
  type DeviceType,
  isDeviceTensor,
  type Value,
} from './devices/device-tensor.js'
export type { DeviceEvent, Graph, Stream } from './devices/stream.js'
export { type AdamwOptions, adamw } from './faces/adamw.js'
export { type ConvertHalfOptions, fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from './faces/convert_half.js'
export { type CovarianceOptions, correlationOf, covariance, covarianceOf, type Moments } from './faces/covariance.js'
export { type CrossEntropyOptions, crossEntropy } from './faces/cross_entropy.js'
export { type Dist, type DistOptions, dist } from './faces/dist.js'
export { type Dkd, type DkdOptions, dkd } from './faces/dkd.js'
export { type DropoutOptions, dropout } from './faces/dropout.js'
export { type DropoutMaskOptions, dropoutMask } from './faces/dropout_mask.js'
export { type EmaOptions, ema } from './faces/ema.js'
export { type GaussianNoiseOptions, gaussianNoise } from './faces/gaussian_noise.js'
export { type JitterOptions, jitter } from './faces/jitter.js'
export { type JsDivergenceOptions, jsDivergence } from './faces/js_divergence.js'
export { type KlDivergenceOptions, klDivergence } from './faces/kl_divergence.js'
export {
  type GradientName,
  type LinearHead,
  type LinearSoftTargetLoss,
  type LinearSoftTargetLossOptions,
  linearSoftTargetLoss,
} from './faces/linear_soft_target_loss.js'
export { type LogitRegressionOptions, logitRegression } from './faces/logit_regression.js'
export { type NearestNeighbors, type NearestNeighborsOptions, nearestNeighbors } from './faces/nearest_neighbors.js'
export { type ReverseKlOptions, reverseKl } from './faces/reverse_kl.js'
export type { LabelOptions, RowOptions } from './faces/rows.js'
export { type SgdOptions, sgd } from './faces/sgd.js'
export { type SoftTargetLoss, type SoftTargetLossOptions, softTargetLoss } from './faces/soft_target_loss.js'
export { type SoftmaxOptions, softmax } from './faces/softmax.js'
export { type ExpertAnswers, type SolvedEq5, type SolveEq5Options, solveEq5 } from './faces/solve_eq5.js'
export { type SquaredNormOptions, squaredNorm } from './faces/squared_norm.js'
export type { RowLoss, TeacherOptions } from './faces/teacher-loss.js'
export { type TopK, type TopKOptions, topK } from './faces/top_k.js'
export {
  type TopKSoftTargetLossOptions,
  type TopKTeacher,
  topKSoftTargetLoss,
} from './faces/top_k_soft_target_loss.js'
export { type TotalVariationOptions, totalVariation } from './faces/total_variation.js'
export type { WeightOptions } from './faces/weights.js'
export { checkTemperature } from './guard.js'
export { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from './half.js'
export type { NamedBuffers, NamedScalars } from './libraries/checked-call.js'
export type {
  BufferDescription,
  KernelDescription,
  KernelLibrary,
  ScalarDescription,
} from './libraries/kernel-library.js'
export { loadKernels } from './libraries/load-kernels.js'
export { type LoadAttempt, type Loaded, native } from './loader/load.js'
export { type Kernel, reference } from './reference/index.js'
export { type KernelName, type KernelOf, signatures } from './signatures.js'
