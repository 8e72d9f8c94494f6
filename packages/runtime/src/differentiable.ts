import type { Rng, TensorMap } from '@imago/tensor'

export interface ForwardOptions {
  /** Dropout active, batch statistics in BatchNormalization, activations kept for the pullback. Default true. */
  readonly train?: boolean
  /** Where dropout masks come from; needed where the student has Dropout and `train` is true. */
  readonly rng?: Rng
}

export interface ForwardResult {
  /** The student's outputs by name; the classifier's output is called `logits`. Valid until the next `forward`. */
  readonly outputs: TensorMap
  /** New values of tensors that forward moves by itself (running statistics), to be copied over the parameters of that name. */
  readonly updates: TensorMap
  /**
   * From dLoss/dOutput to dLoss/dParameter, both by name; an output that is left out does not matter to the loss. Once per forward; the
   * gradients are valid until the next pullback.
   */
  pullback(cotangents: TensorMap): Promise<TensorMap>
}

/**
 * The engine that executes a student forward and backward. One implementation runs ONNX Runtime; another may run anything
 * else without touching any other room. Parameters stay the caller's: they are fed by reference and change in place.
 */
export interface Differentiable {
  /** The tensors that are trained, name → dims. */
  readonly parameters: { readonly [name: string]: readonly number[] }
  forward(parameters: TensorMap, inputs: TensorMap, options?: ForwardOptions): Promise<ForwardResult>
  /** Idempotent; a later forward throws StateError. */
  dispose(): Promise<void>
}
