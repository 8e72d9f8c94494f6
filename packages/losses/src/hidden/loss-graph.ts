import type { Graph } from '@imago/onnx'
import type { TensorMap } from '@imago/tensor'
import type { LossProgress } from '../loss.js'

/**
 * A loss written as an ONNX graph; `openLoss` of @imago/runtime differentiates it and runs it. Its inputs are told by their names:
 * `student/<tensor>` and `target/<tensor>` are tensors of the student and of the targets, `parameter/<name>` and `memory/<name>` its own,
 * `drawn/<name>` what `memory.draw` gives, and `weights` (where it is there) one number ≥ 0 for each row: 0 is a row that is
 * left out. Its first output is the loss, one number; further outputs are parts, by their names.
 */
export interface LossGraph {
  readonly graph: Graph
  /** What is trained with the student and is no part of it (a regressor). In checkpoints, never in the saved student. */
  readonly parameters: TensorMap
  /** The target that holds weights; absent there: every row weighs 1. Default `weights`. */
  readonly weights?: string
  readonly memory?: LossMemory
}

/** What a loss remembers from step to step and no gradient moves. */
export interface LossMemory {
  /** In checkpoints. Moved by `keep` alone. */
  readonly tensors: TensorMap
  /** Targets that `draw` and `keep` read: `ids` are those of the batch's rows, uint32 [N]. */
  readonly targets: readonly string[]
  /** Further inputs of a step; random ones as a function of `at.step`, so that a resumed run draws the same. */
  draw(targets: TensorMap, at: LossProgress | undefined): TensorMap
  /** Outputs of the graph that `keep` reads; they are no parts. */
  readonly outputs: readonly string[]
  /** Called with the outputs of each evaluation; true where the memory has only now begun by them, and the loss is to be evaluated anew. */
  begin?(outputs: TensorMap): boolean
  /** Called once for a step that is taken, after the parameters have moved. */
  keep(outputs: TensorMap, targets: TensorMap): void
}

/** A tensor of teacher or student: its name in the model, and the dims of one row of it. */
export interface HiddenTensor {
  readonly name: string
  /** [C], [T, C] (positions of a sequence; T may be a symbol), or [C, H, W]. */
  readonly dims: readonly (number | string)[]
}

/** A tensor of the student beside one of the teacher. */
export interface HiddenPair {
  readonly student: HiddenTensor
  readonly teacher: HiddenTensor
  /** The target that holds weights, [N] (of sequences [N, T]: 0 is padding); absent there: all count alike. Default `weights`. */
  readonly weights?: string
  /** Default float32, as students are trained; float64 is for checks. */
  readonly type?: 'float32' | 'float64'
}
