import type { Dataset } from './batch.js'

/** The same rows without their labels: a transfer set. The number of classes stays known. */
export function unlabelled(source: Dataset): Dataset {
  return {
    ...source,
    rows(indices) {
      const { ids, inputs } = source.rows(indices)
      return { ids, inputs }
    },
  }
}
