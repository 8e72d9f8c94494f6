export { type DistOptions, dist } from './dist.js'
export { type DkdOptions, dkd } from './dkd.js'
export { type HardLabelOptions, hardLabel } from './hard-label.js'
export { type HeadOptions, head } from './head.js'
export * from './hidden/index.js'
export { type JsdOptions, jsd } from './jsd.js'
export { type LogitRegressionOptions, logitRegression } from './logit-regression.js'
export { logitStandardization } from './logit-standardization.js'
export type { AnyLoss, DeferredLoss, Loss, LossProgress, LossResult } from './loss.js'
export { type NkdOptions, nkd } from './nkd.js'
export { type ReverseKlOptions, reverseKl } from './reverse-kl.js'
export { hardWeightOf, type SoftTargetOptions, softTarget } from './soft-target.js'
export {
  type SquaredErrorOnProbabilitiesOptions,
  squaredErrorOnProbabilities,
} from './squared-error-on-probabilities.js'
export { topKSoftTarget } from './top-k-soft-target.js'
export { type TotalVariationOptions, totalVariation } from './total-variation.js'
export { type Weight, weighted } from './weighted.js'
