import type { TensorMap } from '@imago/tensor'

/** Where training stands when a step is taken; schedules are functions of it. */
export interface Progress {
  /** Optimizer steps taken so far, over all epochs. */
  readonly step: number
  /** Epochs done so far, whole ones. */
  readonly epoch: number
  readonly stepsPerEpoch: number
  /** Epochs in all. */
  readonly epochs: number
}

/** A hyper-parameter over time. */
export type Schedule = (at: Progress) => number

/** What a checkpoint keeps of an optimizer: everything that the next step depends on. */
export interface OptimizerState {
  readonly name: string
  readonly step: number
  /** Moments and velocities: `velocity/<parameter>`, `m/<parameter>` … */
  readonly slots: TensorMap
}

/** Moves parameters against their gradients. It has a memory (moments, velocities) that a checkpoint keeps. */
export interface Optimizer {
  readonly name: string
  /** Update `parameters` in place. `gradients` has a tensor for every parameter that is trained. Returns what reports want. */
  step(parameters: TensorMap, gradients: TensorMap, at: Progress): { rate: number; gradientNorm?: number }
  /** The state, not copied: write it before the next step. */
  state(): OptimizerState
  restore(state: OptimizerState): void
}
