import type { Dataset } from '@imago/data'
import { StateError } from '@imago/tensor'

/**
 * The labels of all rows, `[N]`, −1 where a row has none; read a thousand rows at a time.
 *
 * @throws StateError where the set is unlabelled
 */
export function labelsOf(source: Dataset): Int32Array {
  const all = new Int32Array(source.length)
  const step = 1024
  for (let from = 0; from < source.length; from += step) {
    const indices = Uint32Array.from({ length: Math.min(step, source.length - from) }, (_, i) => from + i)
    const { labels } = source.rows(indices)
    if (labels === undefined)
      throw new StateError(
        'The rows of a specialist are chosen by their classes, and these have no labels',
        "Give labels, or take the generalist's answers for labels",
      )
    all.set(labels, from)
  }
  return all
}
