export { FolderInUse } from '@imago/data/files'
export { type Agreement, agreement } from './agreement.js'
export { checkpointFolder } from './checkpoint/checkpoint-folder.js'
export { type MetricsLog, metricsLog } from './checkpoint/metrics-log.js'
export { claimRunFolder, type RunFolder, readRunFile } from './checkpoint/run-folder.js'
export { differences } from './differences.js'
export { type DistillOptions, distill } from './distill.js'
export { type EvaluateOptions, type Evaluation, evaluate } from './evaluate.js'
export type { CheckpointOptions, FitOptions, Outcome } from './fit.js'
export { type HiddenTensors, hiddenTensors } from './hidden-tensors.js'
export type { Json, JsonObject } from './json.js'
export { type MeanTeacher, meanTeacher } from './mean-teacher.js'
export { type MutualOptions, mutual, type Peer, type PeerReport } from './mutual.js'
export type {
  CheckpointReport,
  EpochReport,
  Parts,
  Report,
  ResumeReport,
  StepReport,
  TargetsReport,
  WarningReport,
} from './report.js'
export type { CheckpointStore, Meter, TrainingState } from './state.js'
export { predictStudent, type TrainableStudent } from './student.js'
export { type TrainOptions, train } from './train.js'
export {
  type RunWorkersOptions,
  runWorkers,
  type WorkerEvent,
  type WorkersResult,
  type WorkerTask,
} from './workers/run-workers.js'
export { serveWorker, type Work, type WorkerProcess } from './workers/serve-worker.js'
