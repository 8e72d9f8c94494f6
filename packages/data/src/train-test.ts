import type { Dataset } from './batch.js'

/** A data set in its two parts: what may be learned from, and what is only counted on. */
export interface TrainTest {
  readonly train: Dataset
  readonly test: Dataset
}
