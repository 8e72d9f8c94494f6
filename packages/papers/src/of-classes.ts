import { type Dataset, subset } from '@imago/data'
import { NotFoundError } from '@imago/tensor'

/** The class of every row; −1 where it has none. */
export function labelsOf(data: Dataset): Int32Array {
  const out = new Int32Array(data.length).fill(-1)
  // A thousand at a time: a data set may make its inputs anew when rows are taken.
  for (let from = 0; from < data.length; from += 1000) {
    const count = Math.min(1000, data.length - from)
    const { labels } = data.rows(Uint32Array.from({ length: count }, (_, i) => from + i))
    if (labels) out.set(labels, from)
  }
  return out
}

/** The rows whose label is one of `classes`. @throws NotFoundError where there is none */
export function ofClasses(data: Dataset, classes: readonly number[]): Dataset {
  const rows: number[] = []
  labelsOf(data).forEach((label, row) => {
    if (classes.includes(label)) rows.push(row)
  })
  if (rows.length === 0)
    throw new NotFoundError(
      `There is no row of class ${classes.join(', ')}`,
      'Leave at least one class that the data has',
    )
  return subset(data, rows)
}
