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

/** Memory for gathered rows by input, to be used again: typed arrays of the inputs' types, as long as the most rows need. */
export type RowMemory = Map<string, Float32Array>

/**
 * The rows `at` of each tensor, in that order, in memory of their own; or at the front of `memory`, which grows as it is needed and is overwritten
 * by whoever gathers into it next.
 */
export function gatherRows(inputs: TensorMap, at: Uint32Array, memory?: RowMemory): TensorMap {
  return tensorMap(Object.keys(inputs).map((name) => [name, gather(name, inputs[name]!, at, memory)] as const))
}

function gather(name: string, { type, dims, data }: Tensor, at: Uint32Array, memory: RowMemory | undefined): Tensor {
  const width = data.length / dims[0]!
  const shape = [at.length, ...dims.slice(1)]
  if (Array.isArray(data))
    return { type, dims: shape, data: [...at].flatMap((row) => data.slice(row * width, (row + 1) * width)) }
  const source = data as Float32Array
  const make = source.constructor as Float32ArrayConstructor
  const kept = memory?.get(name)
  const count = at.length * width
  const whole = kept?.constructor === make && kept.length >= count ? kept : new make(count)
  memory?.set(name, whole)
  const out = whole.length === count ? whole : whole.subarray(0, count)
  for (let i = 0; i < at.length; i++) out.set(source.subarray(at[i]! * width, (at[i]! + 1) * width), i * width)
  return { type, dims: shape, data: out }
}
