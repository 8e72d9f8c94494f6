import { encodeFloat16 } from '@imago/kernels'
import {
  ArgumentError,
  type DataType,
  elementCount,
  ShapeError,
  type Tensor,
  type TensorData,
  UnsupportedError,
} from '@imago/tensor'
import type { InputMap } from './input-map.js'
import { sameDims } from './ort-tensor.js'
import type { Port } from './session.js'

/** Rows `from` … `to` of a data set's tensor as the model takes them, repeated to `size` rows where the model's batch is fixed. */
export type Feed = (source: Tensor, from: number, to: number, size: number) => Tensor

type Numbers = Exclude<TensorData[keyof TensorData], string[]>

/** The feed of one model input for data rows of these dims. */
export function inputFeed(
  port: Port,
  map: InputMap,
  source: Tensor,
): { readonly feed: Feed; readonly notes: string[] } {
  const { type } = port
  if (type === undefined) throw new UnsupportedError(`the model's input "${port.name}"`, 'it is not a dense tensor')
  const row = source.dims.slice(1)
  const count = elementCount(row)
  const target = targetDims(port, map, row)
  if (elementCount(target.dims) !== count)
    throw new ShapeError('predictor', port.name, `rows of [${target.dims.join(', ')}]`, `rows of [${row.join(', ')}]`)
  const affine = affineOf(map, count)
  const order = target.channelsLast ? channelsLast(target.dims) : undefined
  const shape = (size: number): number[] => [size, ...target.dims]
  const feed =
    affine === undefined && order === undefined && source.type === type
      ? copied(type, count, shape)
      : converted(writer(port.name, type, source.type), type, count, shape, affine, order)
  return { feed, notes: target.notes }
}

// Rows that only fill a fixed batch repeat the last real one, so that no zeros meet a division in the model.

function copied(type: DataType, count: number, shape: (size: number) => number[]): Feed {
  return (value, from, to, size) => {
    const data = value.data as Float32Array
    if (from === 0 && to === size && data.length === size * count) return { type, dims: shape(size), data }
    const rows = data.subarray(from * count, to * count)
    if (to - from === size) return { type, dims: shape(size), data: rows }
    const filled = new (data.constructor as Float32ArrayConstructor)(size * count)
    filled.set(rows)
    for (let r = to - from; r < size; r++) filled.set(rows.subarray(rows.length - count), r * count)
    return { type, dims: shape(size), data: filled }
  }
}

function converted(
  write: Writer,
  type: DataType,
  count: number,
  shape: (size: number) => number[],
  affine: ((x: number, i: number) => number) | undefined,
  order: Int32Array | undefined,
): Feed {
  return (value, from, to, size) => {
    const data = value.data as Numbers
    const made = write.make(size * count)
    for (let r = 0; r < size; r++) {
      const base = Math.min(from + r, to - 1) * count
      for (let j = 0; j < count; j++) {
        const i = order === undefined ? j : order[j]!
        const x = data[base + i]!
        write.set(made, r * count + j, affine === undefined ? x : affine(Number(x), i))
      }
    }
    return { type, dims: shape(size), data: made as Tensor['data'] }
  }
}

interface Target {
  readonly dims: readonly number[]
  readonly channelsLast: boolean
  readonly notes: string[]
}

function targetDims(port: Port, map: InputMap, row: readonly number[]): Target {
  const stated = map.dims ?? port.dims?.slice(1)
  const known = stated?.every((dim) => typeof dim === 'number') ? (stated as readonly number[]) : undefined
  if (map.layout === 'flat') return { dims: known ?? [elementCount(row)], channelsLast: false, notes: [] }
  if (map.layout !== undefined) {
    const channelsLast = map.layout === 'NHWC'
    const image = row.length === 3 ? (channelsLast ? [row[1]!, row[2]!, row[0]!] : row) : undefined
    const dims = known ?? image
    if (dims === undefined || dims.length !== 3)
      throw new ArgumentError('predictor', 'map.dims', `the three sizes of an image for input "${port.name}"`, map.dims)
    return { dims, channelsLast, notes: [] }
  }
  if (known === undefined) {
    const fits = stated === undefined || stated.every((dim, i) => typeof dim === 'string' || dim === row[i])
    if (stated !== undefined && (stated.length !== row.length || !fits))
      throw new ShapeError(
        'predictor',
        port.name,
        `rows of [${stated.join(', ')}] (an input map with "dims" says how data become it)`,
        `rows of [${row.join(', ')}]`,
      )
    return { dims: row, channelsLast: false, notes: [] }
  }
  const [c, h, w] = row
  const last =
    row.length === 3 && c !== 1 && known.length === 3 && !sameDims(known, row) && sameDims(known, [h!, w!, c!])
  const notes = last ? [`input "${port.name}" takes channels last; data [C, H, W] are transposed for it`] : []
  return { dims: known, channelsLast: last, notes }
}

/** y = (scale·x − mean) / std of source element i, whose channel is its stretch of the row (rows come channel by channel). */
function affineOf(map: InputMap, count: number): ((x: number, i: number) => number) | undefined {
  const { scale = 1, mean = 0, std = 1 } = map
  if (scale === 1 && mean === 0 && std === 1) return undefined
  const means = perElement('mean', mean, count)
  const deviations = perElement('std', std, count)
  return (x, i) =>
    (scale * x - means.values[Math.floor(i / means.stretch)]!) / deviations.values[Math.floor(i / deviations.stretch)]!
}

function perElement(
  name: string,
  value: number | readonly number[],
  count: number,
): { values: readonly number[]; stretch: number } {
  const values = typeof value === 'number' ? [value] : value
  if (values.length === 0 || count % values.length !== 0)
    throw new ArgumentError(
      'predictor',
      `map.${name}`,
      `one number, or as many as divide the ${count} elements of a row`,
      value,
    )
  return { values, stretch: count / values.length }
}

/** For each element of [H, W, C] its place in [C, H, W]. */
function channelsLast(dims: readonly number[]): Int32Array {
  const [h, w, c] = dims as readonly [number, number, number]
  return Int32Array.from({ length: h * w * c }, (_, j) => (j % c) * h * w + Math.floor(j / c))
}

interface Writer {
  make(length: number): Numbers
  set(out: Numbers, i: number, x: number | bigint): void
}

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int32: Int32Array,
  int64: BigInt64Array,
} as const

/** Conversion from the data's element type to the model's; whole numbers are rounded to, `uint8` saturates. */
function writer(name: string, to: string, from: string): Writer {
  const make = arrays[to as keyof typeof arrays]
  const readable = from !== 'float16' && from !== 'bfloat16' && from !== 'string'
  if (make === undefined || !readable)
    throw new UnsupportedError(`the model's input "${name}"`, `data of type ${from} are not turned into ${to}`)
  const convert = converters[to] ?? Number
  return {
    make: (length) => new make(length) as Numbers,
    set: (out, i, x) => {
      out[i] = convert(x) as never
    },
  }
}

const converters: { readonly [type: string]: (x: number | bigint) => number | bigint } = {
  float16: (x) => encodeFloat16(Number(x)),
  int64: (x) => (typeof x === 'bigint' ? x : BigInt(Math.round(x))),
  int32: (x) => Math.round(Number(x)),
  int8: (x) => Math.round(Number(x)),
  uint8: (x) => Math.min(255, Math.max(0, Math.round(Number(x)))),
}
