export { activeRows } from './combine/active-experts.js'
export { type Answers, type CombineAnswersOptions, combineAnswers } from './combine/combine-answers.js'
export { type CombineSpecialistsOptions, combineSpecialists } from './combine/combine-specialists.js'
export { type Expert, expertAnswers } from './combine/expert.js'
export { type HalfHalfOptions, halfHalf, type SpecialistBatches } from './data/half-half.js'
export { labelsOf } from './data/labels-of.js'
export { type SpecialHardLossOptions, specialHardLoss } from './data/special-hard-loss.js'
export { dustbinLabels, withDustbin } from './data/with-dustbin.js'
export { correctDustbin, type DustbinShares, dustbinOffset } from './heads/correct-dustbin.js'
export { fitDustbin } from './heads/fit-dustbin.js'
export { type LastLinear, lastLinear } from './heads/last-linear.js'
export { type SpecialistFile, specialistFile } from './heads/specialist-file.js'
export {
  fullSpecialistModel,
  type SpecialistModel,
  type SpecialistModelOptions,
  specialistModel,
} from './heads/specialist-model.js'
export {
  type SpecialistEpoch,
  type TrainedSpecialist,
  type TrainSpecialistOptions,
  trainSpecialist,
} from './jobs/train-specialist.js'
export { type ClassSet, checkClassSet, placesOf } from './sets/class-set.js'
export { type ConfusionClusters, type ConfusionClustersOptions, confusionClusters } from './sets/confusion-clusters.js'
export {
  type CountPredictionsOptions,
  countPredictions,
  type PredictionMomentsOptions,
  predictionMoments,
} from './sets/count-predictions.js'
export { type SetSummary, type SetsSummary, type SummarizeSetsOptions, summarizeSets } from './sets/summarize-sets.js'
