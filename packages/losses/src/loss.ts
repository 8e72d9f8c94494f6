import type { TensorMap } from '@imago/tensor'

/** What a loss returns for one batch. */
export interface LossResult {
  /** The loss, in nats (or squared logits where the loss says so); a mean over the rows that count. */
  readonly value: number
  /** The summands by name, unweighted, for reports: `{ soft: 0.31, hard: 0.08 }`. */
  readonly parts: { readonly [name: string]: number }
  /** dLoss/dOutput for each student output that the loss reads, same names and shapes. */
  readonly cotangents: TensorMap
  /** dLoss/dParameter, where the loss has parameters of its own. */
  readonly gradients?: TensorMap
  /** To be called once the step is taken, where the loss remembers something from step to step (`memory`). */
  readonly keep?: () => void
}

/** Where training stands when a loss is evaluated; for weights that change over time. The same shape as an optimizer's. */
export interface LossProgress {
  /** Optimizer steps taken so far, over all epochs. */
  readonly step: number
  /** Epochs done so far, whole ones. */
  readonly epoch: number
  readonly stepsPerEpoch: number
  /** Epochs in all. */
  readonly epochs: number
}

/** A loss: synchronous, pure, knows no model. Tensors are met by name. */
export interface Loss {
  /** The student outputs and the targets that `evaluate` reads (targets: `logits` of the teacher, `labels`, `weights`). */
  readonly needs: { readonly student: readonly string[]; readonly targets: readonly string[] }
  /** What is trained with the student and is no part of it. */
  readonly parameters?: TensorMap
  /** What it remembers from step to step and no gradient moves; goes into checkpoints, changes in place when a step is kept. */
  readonly memory?: TensorMap
  /**
   * The cotangents' memory is the loss's own: valid until its next `evaluate`. `at` is read by scheduled weights only;
   * whoever trains passes it.
   */
  evaluate(student: TensorMap, targets: TensorMap, parameters?: TensorMap, at?: LossProgress): LossResult
}

/** A loss whose numbers come from an engine: `openLoss` of @imago/runtime makes one of a graph. */
export interface DeferredLoss extends Omit<Loss, 'evaluate'> {
  evaluate(...step: Parameters<Loss['evaluate']>): Promise<LossResult>
}

export type AnyLoss = Loss | DeferredLoss
