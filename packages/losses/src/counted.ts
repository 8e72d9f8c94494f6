import { fromBfloat16, fromFloat16 } from '@imago/kernels'
import { type Tensor, tensor } from '@imago/tensor'

/** Logits as float32, whatever float type they came in. */
export function single(logits: Tensor): Tensor<'float32'> {
  if (logits.type === 'float16') return fromFloat16({ x: logits as Tensor<'float16'> })
  if (logits.type === 'bfloat16') return fromBfloat16({ x: logits as Tensor<'bfloat16'> })
  return logits as Tensor<'float32'>
}

/** Logits as float32; rows of weight 0, which are not read, are 0: whatever stands there, it has a softmax. */
export function counted(logits: Tensor, weights: Float32Array | undefined): Tensor<'float32'> {
  const value = single(logits)
  if (!weights?.includes(0)) return value
  const classes = logits.dims[1]!
  const data = value.data.slice()
  for (const [r, weight] of weights.entries()) if (weight === 0) data.fill(0, r * classes, (r + 1) * classes)
  return tensor('float32', logits.dims, data)
}
