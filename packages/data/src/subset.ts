import { ArgumentError } from '@imago/tensor'
import type { Batch, Dataset } from './batch.js'
import { checkIndices } from './dataset.js'

/**
 * The rows at `indices` as a data set of their own. Rows keep the ids that they had, so that targets made for the whole set
 * fit its parts.
 *
 * @throws ArgumentError for an index that is no row
 */
export function subset(source: Dataset, indices: ArrayLike<number>): Dataset {
  const chosen = new Uint32Array(indices.length)
  for (let i = 0; i < chosen.length; i++) {
    const index = indices[i]!
    if (!(Number.isInteger(index) && index >= 0 && index < source.length))
      throw new ArgumentError('subset', `indices[${i}]`, `a row in [0, ${source.length})`, index)
    chosen[i] = index
  }
  const rows = (wanted: Uint32Array): Batch => {
    checkIndices(wanted, chosen.length)
    return source.rows(Uint32Array.from(wanted, (index) => chosen[index]!))
  }
  const { classes } = source
  return classes === undefined ? { length: chosen.length, rows } : { length: chosen.length, classes, rows }
}
