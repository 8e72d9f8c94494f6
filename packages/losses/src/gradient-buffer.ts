import { elementCount, type Tensor, tensor, zeros } from '@imago/tensor'

/**
 * Memory for one gradient that is used again as long as it is large enough: the last, smaller batch of an epoch takes the
 * front of it. What was returned before is overwritten.
 */
export function gradientBuffer(): (dims: readonly number[]) => Tensor<'float32'> {
  let whole = zeros('float32', [0])
  let last = whole
  return (dims) => {
    if (last.dims.length === dims.length && dims.every((dim, i) => dim === last.dims[i])) return last
    const count = elementCount(dims)
    if (count > whole.data.length) whole = zeros('float32', [count])
    last = tensor('float32', [...dims], count === whole.data.length ? whole.data : whole.data.subarray(0, count))
    return last
  }
}
