import { ArgumentError, ShapeError, type Tensor, tensorMap } from '@imago/tensor'
import type { Batch, Dataset } from './batch.js'
import { checkIndices } from './dataset.js'

/**
 * Several data sets as one, in this order. A row's id is its place in the whole. Where only some of the sets have labels, the
 * rows of the others get −1.
 *
 * @throws ShapeError when rows are taken from sets whose inputs differ in name, type or row shape
 */
export function concat(...sources: readonly Dataset[]): Dataset {
  if (sources.length === 0) throw new ArgumentError('concat', 'sources', 'at least one data set', sources)
  const starts: number[] = []
  let length = 0
  let classes: number | undefined
  for (const source of sources) {
    starts.push(length)
    length += source.length
    if (source.classes !== undefined) classes = Math.max(classes ?? 0, source.classes)
  }
  // One row of each set, merged: a set that does not fit is found at the door and not in the middle of an epoch.
  const probes = sources.map((source, k) => {
    const batch = source.rows(new Uint32Array(Math.min(1, source.length)))
    return { at: source.length > 0 ? [k] : [], batch }
  })
  const labelled = probes.some(({ batch }) => batch.labels !== undefined)
  checkNames(probes)
  merge(new Uint32Array(sources.length), probes, labelled)

  const rows = (indices: Uint32Array): Batch => {
    checkIndices(indices, length)
    const places: number[][] = sources.map(() => [])
    for (let i = 0; i < indices.length; i++) places[sourceOf(indices[i]!, starts)]!.push(i)
    const parts = sources.map((source, k) => {
      const at = places[k]!
      return at.length === 0 && !(k === 0 && indices.length === 0)
        ? undefined
        : { at, batch: source.rows(Uint32Array.from(at, (i) => indices[i]! - starts[k]!)) }
    })
    return merge(
      indices,
      parts.filter((part) => part !== undefined),
      labelled,
    )
  }
  return classes === undefined ? { length, rows } : { length, classes, rows }
}

interface Part {
  readonly at: readonly number[]
  readonly batch: Batch
}

function checkNames(parts: readonly Part[]): void {
  const names = parts.map(({ batch }) => Object.keys(batch.inputs).sort().join(', '))
  const other = names.find((one) => one !== names[0])
  if (other !== undefined) throw new ShapeError('concat', 'sources', `all with inputs ${names[0]}`, other)
}

function sourceOf(index: number, starts: readonly number[]): number {
  let k = starts.length - 1
  while (starts[k]! > index) k--
  return k
}

function merge(indices: Uint32Array, parts: readonly Part[], labelled: boolean): Batch {
  const first = parts[0]!.batch.inputs
  const names = Object.keys(first)
  const inputs = tensorMap(names.map((name) => [name, scatter(name, indices.length, parts)]))
  const ids = indices.slice()
  if (!labelled) return { ids, inputs }
  const labels = new Int32Array(indices.length).fill(-1)
  for (const { at, batch } of parts)
    if (batch.labels) for (let i = 0; i < at.length; i++) labels[at[i]!] = batch.labels[i]!
  return { ids, inputs, labels }
}

function scatter(name: string, count: number, parts: readonly Part[]): Tensor {
  const model = parts[0]!.batch.inputs[name]!
  const rest = model.dims.slice(1)
  const width = rest.reduce((a, b) => a * b, 1)
  if (Array.isArray(model.data)) throw new ShapeError('concat', name, 'numbers', 'string')
  const make = model.data.constructor as new (length: number) => Float32Array
  const out = new make(count * width)
  for (const { at, batch } of parts) {
    const value = batch.inputs[name]
    if (value === undefined || value.type !== model.type || value.dims.slice(1).join() !== rest.join())
      throw new ShapeError(
        'concat',
        `inputs.${name}`,
        `${model.type} [${['N', ...rest].join(', ')}] in every set`,
        shown(value),
      )
    const data = value.data as Float32Array
    for (let i = 0; i < at.length; i++) out.set(data.subarray(i * width, (i + 1) * width), at[i]! * width)
  }
  return { type: model.type, dims: [count, ...rest], data: out } as Tensor
}

function shown(value: Tensor | undefined): string {
  return value === undefined ? 'none' : `${value.type} [${['N', ...value.dims.slice(1)].join(', ')}]`
}
