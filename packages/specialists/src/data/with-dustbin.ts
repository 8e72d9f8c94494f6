import type { Batch, Dataset } from '@imago/data'
import { type ClassSet, checkClassSet, placesOf } from '../sets/class-set.js'

/**
 * The same rows as a specialist's classifier sees them: a class of the set is its place there, every other class is the dustbin, |S|. Rows without a
 * label (−1) stay without, and what is left out of a loss (−100) stays out. Inputs and ids are untouched.
 *
 * @param classes how many classes there are in all
 * @throws ArgumentError for a set that is none
 */
export function withDustbin(source: Dataset, set: ClassSet, classes: number): Dataset {
  checkClassSet('withDustbin', set, classes)
  const relabel = dustbinLabels(set, classes)
  return { length: source.length, classes: set.classes.length + 1, rows: (indices) => relabel(source.rows(indices)) }
}

/** A batch with a specialist's labels in place of the classes. */
export function dustbinLabels(set: ClassSet, classes: number): (batch: Batch) => Batch {
  const places = placesOf(set, classes)
  return (batch) =>
    batch.labels === undefined
      ? batch
      : { ...batch, labels: batch.labels.map((label) => (label < 0 ? label : places[label]!)) }
}
