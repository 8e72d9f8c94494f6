import { type DataType, elementCount, type Tensor, type TensorData, zeros } from '@imago/tensor'

/** Row-major strides, in elements. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length).fill(1)
  for (let i = dims.length - 2; i >= 0; i--) strides[i] = strides[i + 1]! * dims[i + 1]!
  return strides
}

/** A tensor whose element at index (i, j, …) is `source[offset + i·strides[0] + j·strides[1] + …]`. */
export function strided<T extends DataType>(
  source: Tensor<T>,
  dims: readonly number[],
  strides: readonly number[],
  offset = 0,
): Tensor<T> {
  const result = zeros(source.type, dims)
  const from = source.data as unknown as { [i: number]: unknown }
  const to = result.data as unknown as { [i: number]: unknown }
  walk(dims, strides, offset, (at, i) => {
    to[i] = from[at]
  })
  return result
}

/** Visit positions in row-major order of `dims`. */
export function walk(
  dims: readonly number[],
  strides: readonly number[],
  offset: number,
  visit: (at: number, i: number) => void,
): void {
  const count = elementCount(dims)
  const index = new Array<number>(dims.length).fill(0)
  let at = offset
  for (let i = 0; i < count; i++) {
    visit(at, i)
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      at += strides[axis]!
      if (++index[axis]! < dims[axis]!) break
      at -= index[axis]! * strides[axis]!
      index[axis] = 0
    }
  }
}

/** The strides with which `dims` is read as the larger shape that it broadcasts to. */
export function broadcastStrides(dims: readonly number[], to: readonly number[]): number[] {
  const strides = stridesOf(dims)
  const missing = to.length - dims.length
  return to.map((_, i) => (i < missing || dims[i - missing] === 1 ? 0 : strides[i - missing]!))
}

/** The same elements in another shape. */
export function reshaped<T extends DataType>(source: Tensor<T>, dims: readonly number[]): Tensor<T> {
  return { type: source.type, dims, data: source.data as TensorData[T] }
}
