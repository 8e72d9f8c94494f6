import { batches, type Dataset } from '@imago/data'
import { type Predict, StateError } from '@imago/tensor'

/** Logits of every row of a data set, in order, and their labels (−1 where a row has none). */
export interface PredictedRows {
  /** [N, C], row-major. */
  readonly logits: Float32Array
  /** [N] */
  readonly labels: Int32Array
  readonly classes: number
}

/** Run a predictor over a data set. @throws StateError where it gives no float32 `logits` [N, C] */
export async function predictRows(predict: Predict, data: Dataset, signal?: AbortSignal): Promise<PredictedRows> {
  const labels = new Int32Array(data.length).fill(-1)
  let logits = new Float32Array(0)
  let classes = 0
  let row = 0
  for await (const batch of batches(data, { size: 500, shuffle: false }).epoch(0)) {
    const out = (await predict(batch.inputs, signal)).logits
    const count = batch.ids.length
    if (out?.type !== 'float32' || out.dims.length !== 2 || out.dims[0] !== count)
      throw new StateError(
        'predictRows: the model gives no float32 "logits" [N, C]',
        'Delete the job that made it, to have it made again',
      )
    if (row === 0) {
      classes = out.dims[1]!
      logits = new Float32Array(data.length * classes)
    }
    logits.set(out.data as Float32Array, row * classes)
    if (batch.labels) labels.set(batch.labels, row)
    row += count
  }
  return { logits, labels, classes }
}
