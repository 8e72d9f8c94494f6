import type { RngState, TensorMap } from '@imago/tensor'
import type { JsonObject } from './json.js'
import type { EpochReport } from './report.js'

/** Everything that the rest of a training run depends on, and what it has to show so far. */
export interface TrainingState {
  /** What run this is; a state is refused where it differs. */
  readonly config: JsonObject
  /** Optimizer steps taken. */
  readonly step: number
  /** Epochs done. */
  readonly epoch: number
  /** Batches done of the epoch in progress. */
  readonly batch: number
  readonly rng: RngState
  readonly meter: Meter
  readonly optimizer: { readonly name: string; readonly step: number }
  readonly history: readonly EpochReport[]
  /** `parameter/<name>`, `slot/<name>` of the optimizer, `loss/<name>` of the loss's own parameters, `memory/<name>` of what it remembers. */
  readonly tensors: TensorMap
}

/** Sums over the rows of the epoch in progress; its means are in the epoch's report. */
export interface Meter {
  readonly rows: number
  readonly loss: number
  readonly parts: { readonly [name: string]: number }
  /** The learning rate of the last step. */
  readonly rate: number
}

/** Where states are kept. `checkpointFolder` keeps them as files. */
export interface CheckpointStore {
  /** Keep `state`; when this resolves, it is on disk. The tensors are not copied: they must not change before that. */
  save(state: TrainingState): Promise<{ readonly bytes: number }>
  /** The newest state that is whole, with a warning for each newer one that was not; undefined where there is none at all. */
  load(): Promise<{ readonly state: TrainingState; readonly warnings: readonly string[] } | undefined>
}
