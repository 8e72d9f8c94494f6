import { encodeFloat16 } from '@imago/kernels'
import type { Model } from '@imago/onnx'
import {
  ArgumentError,
  type DataType,
  elementCount,
  type Rng,
  type Tensor,
  type TensorMap,
  tensor,
  tensorMap,
  UnsupportedError,
} from '@imago/tensor'
import type { EngineOptions } from './engine.js'
import { open } from './open.js'
import type { Port } from './session.js'

export interface CheckOptions extends EngineOptions {
  /** Where the inputs come from. */
  readonly rng: Rng
  /** Sizes for the inputs' open dims, by symbol. Default 2 for the first dim of an input, 8 for others. */
  readonly dims?: { readonly [symbol: string]: number } | undefined
}

export interface Difference {
  /** Every bit of every output is the same. */
  readonly identical: boolean
  /** The largest difference of two outputs over the largest output, the worst tensor. */
  readonly relative: number
  /** Numbers that were compared. */
  readonly values: number
}

/**
 * Run two models on the same drawn inputs (floats N(0, 1), whole numbers and truths 0 or 1) and compare what comes out. An output that is
 * NaN or infinite in one of them has to be so in both.
 *
 * @throws ArgumentError for inputs that `dims` must settle; UnsupportedError for inputs that cannot be drawn
 */
export async function compareModels(before: Model, after: Model, options: CheckOptions): Promise<Difference> {
  const first = await open(before, options)
  try {
    const feeds = drawFeeds(first.inputs, options)
    const expected = await first.run(feeds).catch((cause: unknown) => {
      throw new ArgumentError('compareModels', 'dims', dimsWanted(first.inputs), (cause as Error).message, { cause })
    })
    const second = await open(after, options)
    try {
      return differenceOf(expected, await second.run(feeds, Object.keys(expected)))
    } finally {
      await second.dispose()
    }
  } finally {
    await first.dispose()
  }
}

function dimsWanted(ports: readonly Port[]): string {
  const open = [...new Set(ports.flatMap(({ dims = [] }) => dims.filter((dim) => typeof dim === 'string')))]
  return open.length === 0
    ? 'left out, and the model such that it runs on drawn inputs'
    : `sizes that the model runs with, for some of ${open.join(', ')}`
}

function drawFeeds(ports: readonly Port[], { rng, dims: sizes = {} }: CheckOptions): TensorMap {
  const known = new Set(ports.flatMap(({ dims = [] }) => dims))
  for (const symbol in sizes)
    if (!known.has(symbol))
      throw new ArgumentError('compareModels', 'dims', `of symbols among ${[...known].join(', ')}`, symbol)
  return tensorMap(
    ports.map(({ name, type, dims: shape = [] }, index) => {
      const dims = shape.map((dim, i) => (typeof dim === 'number' ? dim : (sizes[dim] ?? (i === 0 ? 2 : 8))))
      return [name, drawn(name, type, dims, rng.split(`input ${index}`))] as const
    }),
  )
}

function drawn(name: string, type: DataType | undefined, dims: readonly number[], rng: Rng): Tensor {
  const count = elementCount(dims)
  if (type === 'float32')
    return tensor(
      type,
      dims,
      Float32Array.from({ length: count }, () => rng.normal()),
    )
  if (type === 'float64')
    return tensor(
      type,
      dims,
      Float64Array.from({ length: count }, () => rng.normal()),
    )
  if (type === 'float16')
    return tensor(
      type,
      dims,
      Uint16Array.from({ length: count }, () => encodeFloat16(rng.normal())),
    )
  const bits = Array.from({ length: count }, () => Number(rng.uniform() < 0.5))
  if (type === 'int64') return tensor(type, dims, BigInt64Array.from(bits, BigInt))
  if (type === 'int32') return tensor(type, dims, Int32Array.from(bits))
  if (type === 'bool') return tensor(type, dims, Uint8Array.from(bits))
  if (type === 'uint8') return tensor(type, dims, Uint8Array.from(bits))
  throw new UnsupportedError(
    `input "${name}"`,
    `of type ${type ?? 'that is no tensor'}: no inputs are drawn for it to check the export by`,
  )
}

function differenceOf(expected: TensorMap, got: TensorMap): Difference {
  let [relative, values, identical] = [0, 0, true]
  for (const name in expected) {
    const [a, b] = [expected[name]!, got[name]!]
    const same = a.type === b.type && a.dims.join() === b.dims.join()
    const [worst, largest] = same ? distance(a, b) : [Number.POSITIVE_INFINITY, 0]
    identical &&= same && equalBits(a, b)
    values += a.data.length
    relative = Math.max(relative, worst === 0 ? 0 : worst / largest)
  }
  return { identical, relative, values }
}

/** The largest difference of two numbers, and the largest finite number. */
function distance(a: Tensor, b: Tensor): [worst: number, largest: number] {
  let [worst, largest] = [0, 0]
  for (let i = 0; i < a.data.length; i++) {
    const [x, y] = [Number(a.data[i]), Number(b.data[i])]
    if (Object.is(x, y)) {
      if (Number.isFinite(x)) largest = Math.max(largest, Math.abs(x))
      continue
    }
    const by = Math.abs(x - y)
    worst = Number.isFinite(by) ? Math.max(worst, by) : Number.POSITIVE_INFINITY
    largest = Math.max(largest, Math.abs(x))
  }
  return [worst, largest]
}

function equalBits(a: Tensor, b: Tensor): boolean {
  const [x, y] = [a.data as Uint8Array, b.data as Uint8Array]
  if (Array.isArray(x)) return x.every((text, i) => text === y[i])
  const bytes = (view: Uint8Array): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  return Buffer.compare(bytes(x), bytes(y)) === 0
}
