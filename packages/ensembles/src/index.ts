export { type ArithmeticOptions, arithmetic } from './arithmetic.js'
export { type CalibrateCascadeOptions, type CalibratedCascade, calibrateCascade } from './calibrate-cascade.js'
export { type CascadeOptions, cascade, never } from './cascade.js'
export type { Combine, WeightOptions } from './combine.js'
export { combineOutputs } from './combine-outputs.js'
export { type EnsembleOptions, ensemble, ensembleTargets } from './ensemble.js'
export { evaluateCascade } from './evaluate-cascade.js'
export { gatherRows, type RowMemory, rowCount } from './gather-rows.js'
export { geometric } from './geometric.js'
export type { Average } from './hold-out.js'
export { logitMean } from './logit-mean.js'
export { MemberError } from './member-error.js'
export type { OutputOptions } from './member-logits.js'
export type { Metric } from './metric.js'
export {
  type BagOptions,
  type Selection,
  type SelectionStep,
  type SelectOptions,
  selectEnsemble,
} from './select-ensemble.js'
export type { CascadeHoldOut, CascadePoint } from './stage-rows.js'
