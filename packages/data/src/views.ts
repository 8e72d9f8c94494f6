import { ArgumentError, type Rng, ShapeError, type Tensor, tensorMap } from '@imago/tensor'
import type { Augment, Batch, Dataset } from './batch.js'
import { checkIndices } from './dataset.js'

export interface ViewsOptions {
  /** How many of each row. */
  readonly count: number
  readonly augment: Augment
  /** Never moved: each view has its own, split by the row's id and the view's number. */
  readonly rng: Rng
}

/**
 * Augmentation that is fixed: `count` views of each row as rows of their own, the same in every epoch, so that a teacher can say once what it sees in
 * each. All rows' first views come first, then the second. View v of the row with id i has id i·count + v and looks alike
 * whatever other rows there are: parts of a set have the views that the whole has.
 *
 * @throws ArgumentError for a count below 1; for ids too large for so many views when rows are taken
 */
export function views(source: Dataset, options: ViewsOptions): Dataset {
  const { count, augment, rng } = options
  if (!(Number.isSafeInteger(count) && count >= 1))
    throw new ArgumentError('views', 'count', 'a whole number ≥ 1', count)
  const length = source.length * count
  const rows = (indices: Uint32Array): Batch => {
    checkIndices(indices, length)
    const batch = source.rows(indices.map((index) => index % source.length))
    const ids = new Uint32Array(indices.length)
    const seen = Array.from(indices, (index, r) => {
      const view = Math.floor(index / source.length)
      const id = batch.ids[r]!
      const own = id * count + view
      if (own > 0xffffffff)
        throw new ArgumentError(
          'views',
          'source',
          `with ids below ${Math.floor(2 ** 32 / count)} for ${count} views`,
          id,
        )
      ids[r] = own
      return augment(single(batch, r), rng.split(`view ${view} of row ${id}`))
    })
    const names = Object.keys(batch.inputs)
    const inputs = seen.length === 0 ? batch.inputs : tensorMap(names.map((name) => [name, stacked(name, seen)]))
    return { ids, inputs, ...(batch.labels && { labels: batch.labels }) }
  }
  return source.classes === undefined ? { length, rows } : { length, classes: source.classes, rows }
}

/** Row r as a batch. */
function single({ ids, inputs, labels }: Batch, r: number): Batch {
  const own = tensorMap(
    Object.keys(inputs).map((name) => {
      const { type, dims, data } = inputs[name]!
      const width = data.length / dims[0]!
      return [name, { type, dims: [1, ...dims.slice(1)], data: data.slice(r * width, (r + 1) * width) } as Tensor]
    }),
  )
  return { ids: ids.slice(r, r + 1), inputs: own, ...(labels && { labels: labels.slice(r, r + 1) }) }
}

function stacked(name: string, rows: readonly Batch[]): Tensor {
  const first = rows[0]!.inputs[name]!
  const width = first.data.length
  if (Array.isArray(first.data)) throw new ShapeError('views', `inputs.${name}`, 'numbers', 'string')
  const data = new (first.data.constructor as Float32ArrayConstructor)(rows.length * width)
  for (const [r, row] of rows.entries()) {
    const { dims, data: own } = row.inputs[name]!
    if (own.length !== width)
      throw new ShapeError(
        'views',
        `inputs.${name}`,
        `[${first.dims.join(', ')}] from every augmentation`,
        `[${dims.join(', ')}]`,
      )
    data.set(own as Float32Array, r * width)
  }
  return { type: first.type, dims: [rows.length, ...first.dims.slice(1)], data } as Tensor
}
