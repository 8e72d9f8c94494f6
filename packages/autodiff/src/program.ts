import type { Graph } from '@imago/onnx'

/** A dropout mask that the caller feeds: values 0 or 1/(1−p), the shape of the tensor `like`. */
export interface NoiseInput {
  /** Name of the forward graph's input. */
  readonly name: string
  /** Dims of the mask; a string is the batch symbol, or a product of it (`12*N`). */
  readonly dims: readonly (number | string)[]
  readonly probability: number
}

/** A running statistic: parameter ← momentum · parameter + (1 − momentum) · value (ONNX's convention of momentum). */
export interface StatisticUpdate {
  /** Name of the running mean or variance among the model's tensors. */
  readonly parameter: string
  /** Name of the forward output that holds this batch's statistic. */
  readonly value: string
  readonly momentum: number
  /**
   * Where the statistic is a biased variance: the number of elements behind each entry for a batch of n rows is
   * `n · perRow`, and the running value takes variance · m/(m−1), m that number, as PyTorch does. 0 for a mean.
   */
  readonly perRow: number
}

/**
 * A student as two graphs. `forward` has the model's inputs, the parameters and the noise as inputs, and the model's outputs
 * and `saved` as outputs. `backward` takes what it needs of these and the cotangents, and gives the gradients.
 */
export interface VjpProgram {
  readonly forward: Graph
  readonly backward: Graph
  /** Forward graph inputs that carry data (not parameters, not noise). */
  readonly inputs: readonly string[]
  /** The model's outputs. */
  readonly outputs: readonly string[]
  /** The names with respect to which gradients are made. */
  readonly parameters: readonly string[]
  /** Forward outputs, beyond the model's, that backward reads or that `statistics` name. */
  readonly saved: readonly string[]
  /** Model output → the backward input that takes dLoss/dOutput. */
  readonly cotangents: { readonly [output: string]: string }
  /** Parameter → the backward output that holds dLoss/dParameter. */
  readonly gradients: { readonly [parameter: string]: string }
  readonly noise: readonly NoiseInput[]
  readonly statistics: readonly StatisticUpdate[]
}
