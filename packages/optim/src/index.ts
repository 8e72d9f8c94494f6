export { type AdamwOptions, adamw } from './adamw.js'
export { clipByGlobalNorm } from './clip-by-global-norm.js'
export {
  type ExponentialMovingAverageOptions,
  exponentialMovingAverage,
  type MovingAverage,
  type MovingAverageState,
} from './exponential-moving-average.js'
export { type Hinton2012Options, hinton2012 } from './hinton-2012.js'
export type { MaxSquaredNorm } from './max-squared-norm.js'
export type { Optimizer, OptimizerState, Progress, Schedule } from './optimizer.js'
export { constant } from './schedules/constant.js'
export { cosine } from './schedules/cosine.js'
export { linear } from './schedules/linear.js'
export { step } from './schedules/step.js'
export { warmUp } from './schedules/warm-up.js'
export { type SgdOptions, sgd } from './sgd.js'
