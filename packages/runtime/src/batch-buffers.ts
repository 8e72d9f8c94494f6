import type { Tensor, TensorMap } from '@imago/tensor'
import type { OrtTensor } from './onnxruntime.js'

/** Everything that one batch shape needs from step to step; filled where it is first needed, then reused. */
export interface BatchBuffers {
  readonly forwardFeeds: { [name: string]: OrtTensor }
  /** Forward outputs. */
  readonly activations: { [name: string]: OrtTensor }
  readonly backwardFeeds: { [name: string]: OrtTensor }
  /** Backward outputs. */
  readonly gradients: { [name: string]: OrtTensor }
  readonly masks: { [name: string]: Tensor<'float32'> }
  /** Cotangents of outputs that no loss reads. */
  readonly nothing: { [name: string]: Tensor }
  readonly statistics: { [name: string]: Tensor<'float32'> }
  outputs?: TensorMap
  gradientMap?: TensorMap
}

/** Batch shapes that are kept: the full batch, the last ragged one, and one more. */
const KEPT = 3

/** Buffers by the dims of the inputs; the shape that was not used for longest makes room. */
export function batchBuffers(): (inputs: readonly (readonly number[])[]) => BatchBuffers {
  const kept = new Map<string, BatchBuffers>()
  return (inputs) => {
    const key = inputs.map((dims) => dims.join('x')).join(' ')
    const found = kept.get(key) ?? {
      forwardFeeds: {},
      activations: {},
      backwardFeeds: {},
      gradients: {},
      masks: {},
      nothing: {},
      statistics: {},
    }
    kept.delete(key)
    kept.set(key, found)
    if (kept.size > KEPT) kept.delete(kept.keys().next().value!)
    return found
  }
}
