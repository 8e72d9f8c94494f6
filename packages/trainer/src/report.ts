import type { Evaluation } from './evaluate.js'

/** Sums of a loss by name, as `Loss.evaluate` gives them. */
export type Parts = { readonly [name: string]: number }

/** After each optimizer step. */
export interface StepReport {
  readonly kind: 'step'
  /** The epoch in progress, from 1. */
  readonly epoch: number
  /** Optimizer steps taken, over all epochs. */
  readonly step: number
  /** Optimizer steps in all. */
  readonly steps: number
  /** This batch's loss. */
  readonly loss: number
  readonly parts: Parts
  /** The learning rate of this step. */
  readonly rate: number
  /** The Euclidean norm of all gradients together, before clipping. */
  readonly gradientNorm: number
  /** Rows of this batch. */
  readonly rows: number
  /** Training speed since the epoch (or the resumed part of it) began; only where a clock was given. */
  readonly rowsPerSecond?: number
}

/** After each epoch: means over its rows. */
export interface EpochReport {
  readonly kind: 'epoch'
  /** Epochs done. */
  readonly epoch: number
  readonly epochs: number
  readonly step: number
  readonly loss: number
  readonly parts: Parts
  readonly rate: number
  readonly rowsPerSecond?: number
  readonly evaluation?: Evaluation
}

/** Progress of what happens before the first step: a teacher's outputs computed once for all rows. */
export interface TargetsReport {
  readonly kind: 'targets'
  readonly rows: number
  readonly of: number
}

/** A checkpoint is on disk. */
export interface CheckpointReport {
  readonly kind: 'checkpoint'
  readonly step: number
  readonly bytes: number
}

/** Training goes on from a checkpoint. What was recorded after `step` will be recorded again. */
export interface ResumeReport {
  readonly kind: 'resume'
  readonly step: number
  /** Epochs done. */
  readonly epoch: number
  readonly history: readonly EpochReport[]
}

/** Something to tell people that does not stop training. */
export interface WarningReport {
  readonly kind: 'warning'
  readonly message: string
}

export type Report = StepReport | EpochReport | TargetsReport | CheckpointReport | ResumeReport | WarningReport
