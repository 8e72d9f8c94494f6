import { constantOf, decode, encode } from '@imago/onnx'
import { elementCount, type Rng, type Tensor, tensor } from '@imago/tensor'

/** What make.py wrote of one student. */
export interface Golden {
  readonly seed: number
  readonly batches: readonly number[]
  readonly rate: number
  readonly momentum: number
  readonly inputs: {
    readonly [name: string]: { readonly dims: readonly number[]; readonly below?: number; readonly mask?: boolean }
  }
  /** Classes; `frames:` and classes, one distribution a frame; or `squares`. */
  readonly target: number | string
  readonly fill: {
    readonly [weight: string]: { readonly dims: readonly number[]; readonly centre: number; readonly spread: number }
  }
  /** Dims of the output behind the rows. */
  readonly output: readonly number[]
  readonly losses: readonly number[]
  /** Of the first step. */
  readonly gradients: { readonly [weight: string]: number }
  readonly after: {
    readonly [weight: string]: { readonly moved: number; readonly norm: number; readonly sample: string }
  }
}

/** A file without weights with those that the golden describes. */
export function filled(bytes: Uint8Array, { fill }: Golden, random: Rng): Uint8Array {
  const model = decode(bytes)
  const initializers = new Map(model.graph.initializers)
  for (const [name, { dims, centre, spread }] of Object.entries(fill))
    if (initializers.has(name))
      initializers.set(name, constantOf(name, drawn(random, `weight ${name}`, dims, centre, spread)))
  return encode({ ...model, graph: { ...model.graph, initializers } })
}

/** centre + spread·(2u − 1), u uniform: as `draw` of make.py. */
export function drawn(random: Rng, label: string, dims: readonly number[], centre = 0, spread = 1): Tensor<'float32'> {
  const own = random.split(label)
  const count = elementCount(dims)
  return tensor(
    'float32',
    dims,
    Float32Array.from({ length: count }, () => centre + spread * (2 * own.uniform() - 1)),
  )
}

/** Whole numbers below a bound: as `whole` of make.py. */
export function wholes(random: Rng, label: string, count: number, below: number): number[] {
  const own = random.split(label)
  return Array.from({ length: count }, () => own.uint32() % below)
}
