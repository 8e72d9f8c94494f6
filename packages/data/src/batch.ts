import type { Rng, TensorMap } from '@imago/tensor'

/** Some rows of a data set. */
export interface Batch {
  /** Identity of each row in its data set. */
  readonly ids: Uint32Array
  /** Model inputs by name; the first dim is the row. */
  readonly inputs: TensorMap
  /** The class of each row; −1 where it has none. Absent where the whole set is unlabelled. */
  readonly labels?: Int32Array
}

/** A data set in memory or behind a file: rows by index. */
export interface Dataset {
  readonly length: number
  readonly classes?: number
  /** The rows at `indices`, in that order. */
  rows(indices: Uint32Array): Batch
}

/** Changes the inputs of a training batch: jitter, noise. Pure: the same rng gives the same result. */
export type Augment = (batch: Batch, random: Rng) => Batch

/** Batches that can be had again: epoch `e` is the same each time, and may be entered at any batch. */
export interface Batches {
  /** Batches in one epoch. */
  readonly length: number
  /** Rows in one epoch. */
  readonly rows: number
  /** True where a row's inputs differ from epoch to epoch, so that targets cannot be computed once. */
  readonly augmented: boolean
  epoch(epoch: number, from?: number): AsyncIterable<Batch>
}
