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
export type { Job, JobContext, RecipeEvent } from './jobs/job.js'
export { type RunJobsOptions, runJobs } from './jobs/run-jobs.js'
export type { TrainingResult } from './jobs/train-model.js'
