import { ArgumentError, ShapeError, type Tensor, type TensorMap, tensorMap } from '@imago/tensor'

/**
 * How many rows some inputs [N, …] have.
 * @throws ArgumentError where there is no input, ShapeError where they disagree
 */
export function rowCount(caller: string, inputs: TensorMap): number {
  const names = Object.keys(inputs)
  if (names.length === 0) throw new ArgumentError(caller, 'inputs', 'at least one tensor [N, …]', {})
  const rows = inputs[names[0]!]!.dims[0]
  for (const name of names) {
    const [first] = inputs[name]!.dims
    if (first === undefined || first !== rows)
      throw new ShapeError(caller, `inputs.${name}`, `[${rows ?? 'N'}, …]`, `[${inputs[name]!.dims.join(', ')}]`)
  }
  return rows!
}

/** The rows `at` of each tensor, in that order, in memory of their own. */
export function gatherRows(inputs: TensorMap, at: Uint32Array): TensorMap {
  return tensorMap(Object.keys(inputs).map((name) => [name, gather(inputs[name]!, at)] as const))
}

function gather({ type, dims, data }: Tensor, at: Uint32Array): Tensor {
  const width = data.length / dims[0]!
  const shape = [at.length, ...dims.slice(1)]
  if (Array.isArray(data))
    return { type, dims: shape, data: [...at].flatMap((row) => data.slice(row * width, (row + 1) * width)) }
  const source = data as Float32Array
  const out = new (source.constructor as Float32ArrayConstructor)(at.length * width)
  for (const [i, row] of at.entries()) out.set(source.subarray(row * width, (row + 1) * width), i * width)
  return { type, dims: shape, data: out }
}
