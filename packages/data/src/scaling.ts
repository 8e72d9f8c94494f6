import { ArgumentError, type Tensor, tensor } from '@imago/tensor'

/** How stored values become what a model is fed: (stored · factor − mean) / std, as float32. */
export interface Scaling {
  readonly factor?: number
  /** One number, or one for each element of a row. */
  readonly mean?: number | readonly number[]
  /** One number, or one for each element of a row. */
  readonly std?: number | readonly number[]
}

/** Writes rows of `source` (each `width` elements) into a new float32 array. */
export type Scaler = (source: ArrayLike<number>, indices: Uint32Array, width: number) => Float32Array

/** Compile a scaling for stored tensor `stored`: a table of 256 values for uint8, arithmetic for the rest. */
export function scaler(stored: Tensor, scaling: Scaling, argument: string): Scaler {
  const width = stored.dims.slice(1).reduce((a, b) => a * b, 1)
  const { factor = 1, mean = 0, std = 1 } = scaling
  check(argument, factor, mean, std, width)
  if (stored.type === 'uint8' && typeof mean === 'number' && typeof std === 'number')
    return byTable(Float32Array.from({ length: 256 }, (_, value) => (value * factor - mean) / std))
  const shift = typeof mean === 'number' ? new Float64Array(width).fill(mean) : Float64Array.from(mean)
  const divisor = typeof std === 'number' ? new Float64Array(width).fill(std) : Float64Array.from(std)
  return (source, indices, size) => {
    const out = new Float32Array(indices.length * size)
    for (let row = 0, to = 0; row < indices.length; row++) {
      const from = indices[row]! * size
      for (let i = 0; i < size; i++) out[to++] = (source[from + i]! * factor - shift[i]!) / divisor[i]!
    }
    return out
  }
}

function byTable(table: Float32Array): Scaler {
  return (source, indices, width) => {
    const out = new Float32Array(indices.length * width)
    for (let row = 0, to = 0; row < indices.length; row++) {
      const from = indices[row]! * width
      const end = from + width
      for (let i = from; i < end; i++) out[to++] = table[source[i]!]!
    }
    return out
  }
}

function check(
  argument: string,
  factor: number,
  mean: number | readonly number[],
  std: number | readonly number[],
  width: number,
): void {
  const fits = (value: number | readonly number[], ok: (one: number) => boolean): boolean =>
    typeof value === 'number' ? ok(value) : value.length === width && value.every(ok)
  if (!Number.isFinite(factor)) throw new ArgumentError('dataset', `${argument}.factor`, 'a finite number', factor)
  if (!fits(mean, Number.isFinite))
    throw new ArgumentError('dataset', `${argument}.mean`, `a finite number or ${width} of them`, mean)
  if (!fits(std, (one) => Number.isFinite(one) && one > 0))
    throw new ArgumentError('dataset', `${argument}.std`, `a number > 0 or ${width} of them`, std)
}

/** The rows at `indices`, stored type kept. */
export function gather(stored: Tensor, indices: Uint32Array): Tensor {
  const width = stored.dims.slice(1).reduce((a, b) => a * b, 1)
  const dims = [indices.length, ...stored.dims.slice(1)]
  const source = stored.data
  if (Array.isArray(source)) {
    const out: string[] = []
    for (const index of indices) for (let i = 0; i < width; i++) out.push(source[index * width + i]!)
    return tensor('string', dims, out)
  }
  const make = source.constructor as new (length: number) => Float32Array
  const out = new make(indices.length * width)
  // Typed arrays of one kind: `set` moves a row at once, whatever the element type.
  for (let row = 0; row < indices.length; row++) {
    const from = indices[row]! * width
    out.set((source as Float32Array).subarray(from, from + width), row * width)
  }
  return { type: stored.type, dims, data: out } as Tensor
}
