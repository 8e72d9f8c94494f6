export {
  type BaCaruanaOptions,
  type BaCaruanaSettings,
  defaults as baCaruana2014Defaults,
  paper as baCaruana2014Paper,
} from './ba-caruana-2014/options.js'
export { baCaruana2014 } from './ba-caruana-2014/recipe.js'
export type { BaCaruanaResult, BaCaruanaRow } from './ba-caruana-2014/tabulate.js'
export { type Bucila2006Options, defaults as bucila2006Defaults } from './bucila-2006/options.js'
export { type ProblemName as BucilaProblem, problemNames as bucilaProblems } from './bucila-2006/problems.js'
export { bucila2006 } from './bucila-2006/recipe.js'
export type { Bucila2006Result, MimicRow, ProblemResult } from './bucila-2006/tabulate.js'
export { type DemoOptions, type DemoResult, type DemoRow, demo } from './demo/demo.js'
export { type DemoProtocol, demoProtocol } from './demo/protocol.js'
export type { Effect } from './effect.js'
export {
  defaults as hinton2015MnistDefaults,
  type HintonMnistOptions,
  paper as hinton2015MnistPaper,
} from './hinton-2015-mnist/options.js'
export { hinton2015Mnist } from './hinton-2015-mnist/recipe.js'
export type { ErrorRow, HintonMnistResult, Trial, VariantRow } from './hinton-2015-mnist/tabulate.js'
export {
  hinton2015MnistTransfer,
  type MnistTransferOptions,
  type MnistTransferResult,
  type TransferRow,
} from './hinton-2015-mnist/transfer.js'
export {
  defaults as hinton2015RegularizerDefaults,
  paper as hinton2015RegularizerPaper,
  type RegularizerOptions,
  type RegularizerSettings,
} from './hinton-2015-regularizer/options.js'
export { hinton2015Regularizer } from './hinton-2015-regularizer/recipe.js'
export type { RegularizerResult, RegularizerRow } from './hinton-2015-regularizer/tabulate.js'
export {
  defaults as hinton2015SpecialistsDefaults,
  paper as hinton2015SpecialistsPaper,
  type SpecialistsOptions,
  type SpecialistsSettings,
  type TaskSettings,
} from './hinton-2015-specialists/options.js'
export { hinton2015Specialists } from './hinton-2015-specialists/recipe.js'
export type {
  CoveringRow,
  OverfitCurve,
  SpecialistsTableResult,
  SystemRow,
} from './hinton-2015-specialists/tabulate.js'
export {
  defaults as hinton2015SpeechDefaults,
  type HintonSpeechOptions,
  paper as hinton2015SpeechPaper,
  type SpeechSettings,
} from './hinton-2015-speech/options.js'
export { hinton2015Speech } from './hinton-2015-speech/recipe.js'
export type { HintonSpeechResult, SpeechRow } from './hinton-2015-speech/tabulate.js'
export type { Job, JobContext, RecipeEvent } from './jobs/job.js'
export type { RecipeOptions } from './jobs/recipe-options.js'
export { type RunJobsOptions, runJobs } from './jobs/run-jobs.js'
export type { TrainingResult } from './jobs/train-model.js'
export {
  defaults as selfDistillationDefaults,
  paper as selfDistillationPaper,
  type SelfDistillationOptions,
  type SelfDistillationSettings,
} from './self-distillation/options.js'
export { selfDistillation } from './self-distillation/recipe.js'
export type { SelfDistillationResult, SelfRow } from './self-distillation/tabulate.js'
