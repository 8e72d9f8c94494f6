import { ShapeError, type Tensor, type TensorMap, tensor, tensorMap } from '@imago/tensor'

/** Tensors of the same names and row shapes, one below the other. */
export function concatRows(parts: readonly TensorMap[]): TensorMap {
  const [first, ...others] = parts
  if (first === undefined) return tensorMap()
  if (others.length === 0) return first
  return tensorMap(
    Object.keys(first).map((name) => [
      name,
      stack(
        name,
        parts.map((part) => part[name]!),
      ),
    ]),
  )
}

function stack(name: string, parts: readonly Tensor[]): Tensor {
  const { type, dims } = parts[0]!
  const row = dims.slice(1)
  let rows = 0
  let length = 0
  for (const part of parts) {
    if (part.type !== type || part.dims.slice(1).join() !== row.join())
      throw new ShapeError('predictor', name, `rows of [${row.join(', ')}] in every batch`, `[${part.dims.join(', ')}]`)
    rows += part.dims[0]!
    length += part.data.length
  }
  if (type === 'string')
    return tensor(
      type,
      [rows, ...row],
      parts.flatMap((part) => part.data as string[]),
    )
  const data = new (parts[0]!.data.constructor as Float32ArrayConstructor)(length)
  let at = 0
  for (const part of parts) {
    data.set(part.data as Float32Array, at)
    at += part.data.length
  }
  return { type, dims: [rows, ...row], data }
}
