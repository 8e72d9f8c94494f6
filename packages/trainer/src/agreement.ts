import type { Batches } from '@imago/data'
import { NotFoundError, type Predict } from '@imago/tensor'
import { logitsOf, scan } from './evaluate.js'

/** How often two classifiers answer the same; no labels are read. */
export interface Agreement {
  /** Rows on which both name the same class. */
  readonly same: number
  readonly rows: number
  /** same / rows */
  readonly agreement: number
}

/** Compare the best classes of two predictors, both with `logits` [N, C], over one epoch of `data`. */
export async function agreement(a: Predict, b: Predict, data: Batches, signal?: AbortSignal): Promise<Agreement> {
  let same = 0
  let rows = 0
  for await (const batch of data.epoch(0)) {
    signal?.throwIfAborted()
    const count = batch.ids.length
    const [left, right] = [await bestOf(a, batch.inputs), await bestOf(b, batch.inputs)]
    for (let row = 0; row < count; row++) if (left[row] === right[row]) same++
    rows += count

    async function bestOf(predict: Predict, inputs: typeof batch.inputs): Promise<Uint32Array> {
      const logits = logitsOf('agreement', await predict(inputs, signal), 'logits', count)
      const classes = logits.dims[1]!
      return Uint32Array.from(
        { length: count },
        (_, row) => scan('agreement', logits.data, row * classes, classes, batch.ids[row]!).best,
      )
    }
  }
  if (rows === 0) throw new NotFoundError('agreement: the data has no rows', 'Give at least one batch.')
  return { same, rows, agreement: same / rows }
}
