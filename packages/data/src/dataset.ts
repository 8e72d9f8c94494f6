import {
  ArgumentError,
  describe,
  dims,
  ShapeError,
  type Tensor,
  type TensorMap,
  tensor,
  tensorMap,
} from '@imago/tensor'
import type { Batch, Dataset } from './batch.js'
import { gather, type Scaling, scaler } from './scaling.js'

export interface DatasetOptions {
  /** Tensors by input name, each [N, ...]; kept as they are, never copied. */
  readonly inputs: TensorMap
  /** N classes as whole numbers; −1 where a row has none. A tensor [N] or a plain array. */
  readonly labels?: Tensor | ArrayLike<number>
  /** The number of classes; the largest label + 1 if left out. */
  readonly classes?: number
  /** Turns stored values into float32 when rows are taken: a factor for every input, or a scaling by input name. */
  readonly scale?: number | { readonly [input: string]: number | Scaling }
}

/**
 * A data set in memory. Images may stay uint8: with `scale` they become float32 when rows are taken, at a quarter of the
 * memory. Inputs without a scale are handed out in the type that they are stored in.
 *
 * @throws ShapeError where inputs or labels differ in rows, ArgumentError for a label that is no class (with its row)
 */
export function dataset(options: DatasetOptions): Dataset {
  const names = Object.keys(options.inputs)
  if (names.length === 0) throw new ArgumentError('dataset', 'inputs', 'at least one tensor by name', options.inputs)
  const length = rowCount(options.inputs, names)
  const labels = options.labels === undefined ? undefined : labelArray(options.labels, length)
  const classes = classCount(labels, options.classes)
  const takers = names.map((name) => [name, taker(name, options.inputs[name]!, options.scale)] as const)

  const rows = (indices: Uint32Array): Batch => {
    checkIndices(indices, length)
    const inputs = tensorMap(takers.map(([name, take]) => [name, take(indices)]))
    return labels === undefined
      ? { ids: indices.slice(), inputs }
      : { ids: indices.slice(), inputs, labels: Int32Array.from(indices, (index) => labels[index]!) }
  }
  return classes === undefined ? { length, rows } : { length, classes, rows }
}

/** The first dim, which all inputs share. */
function rowCount(inputs: TensorMap, names: readonly string[]): number {
  let length: number | undefined
  for (const name of names) {
    const argument = `inputs.${name}`
    dims('dataset', { [argument]: [inputs[name], '...'] })
    const shape = inputs[name]?.dims ?? []
    const rows = shape[0]
    if (rows === undefined) throw new ShapeError('dataset', argument, '[N, ...]', '[]')
    length ??= rows
    if (rows !== length) throw new ShapeError('dataset', argument, `[N=${length}, ...]`, `[${shape.join(', ')}]`)
  }
  return length!
}

function taker(name: string, stored: Tensor, scale: DatasetOptions['scale']): (indices: Uint32Array) => Tensor {
  const chosen = typeof scale === 'object' ? scale[name] : scale
  if (chosen === undefined) return (indices) => gather(stored, indices)
  if (Array.isArray(stored.data) || typeof stored.data[0] === 'bigint' || /float16/.test(stored.type))
    throw new ArgumentError('dataset', `scale.${name}`, 'left out for this type of input', stored.type)
  const scaling = typeof chosen === 'number' ? { factor: chosen } : chosen
  const apply = scaler(stored, scaling, `scale.${name}`)
  const rest = stored.dims.slice(1)
  const width = rest.reduce((a, b) => a * b, 1)
  const source = stored.data as ArrayLike<number>
  return (indices) => tensor('float32', [indices.length, ...rest], apply(source, indices, width))
}

function labelArray(labels: Tensor | ArrayLike<number>, length: number): Int32Array {
  if ('dims' in labels) dims('dataset', { labels: [labels, `${length}`] })
  const source = ('dims' in labels ? labels.data : labels) as ArrayLike<number | bigint>
  if (source.length !== length) throw new ShapeError('dataset', 'labels', `[${length}]`, `[${source.length}]`)
  const out = new Int32Array(length)
  for (let row = 0; row < length; row++) {
    const label = Number(source[row])
    if (!Number.isInteger(label) || label < -1 || label > 0x7fffffff)
      throw new ArgumentError('dataset', `labels[${row}]`, 'a class ≥ 0, or −1 for none', label)
    out[row] = label
  }
  return out
}

function classCount(labels: Int32Array | undefined, classes: number | undefined): number | undefined {
  if (classes !== undefined && !(Number.isSafeInteger(classes) && classes > 0))
    throw new ArgumentError('dataset', 'classes', 'a whole number ≥ 1', classes)
  if (labels === undefined) return classes
  const largest = labels.reduce((most, label) => Math.max(most, label), -1)
  if (classes === undefined) return largest < 0 ? undefined : largest + 1
  if (largest >= classes)
    throw new ArgumentError('dataset', `labels[${labels.indexOf(largest)}]`, `a class in [0, ${classes})`, largest)
  return classes
}

/** Refuse indices that are no rows: a typed array would read `undefined` and feed zeros. */
export function checkIndices(indices: Uint32Array, length: number): void {
  if (!(indices instanceof Uint32Array))
    throw new ArgumentError('Dataset.rows', 'indices', 'a Uint32Array', describe(indices))
  for (const index of indices)
    if (index >= length) throw new ArgumentError('Dataset.rows', 'indices', `rows in [0, ${length})`, index)
}
