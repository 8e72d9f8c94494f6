import { type Backend, covariance, type Moments, softmax } from '@imago/kernels'
import { ArgumentError, dims, type Predict, type Tensor, type TensorMap } from '@imago/tensor'

export interface CountPredictionsOptions {
  /** A generalist's logits `[N, C]`, float32. */
  readonly logits: Tensor
  /** The moments that the rows join, changed in place; left out: new ones. */
  readonly into?: Moments | undefined
  readonly backend?: Backend | undefined
}

/**
 * Count a batch of a generalist's predictions, softmax(logits) at T = 1, into their mean and co-moments `[C, C]` (Hinton, Vinyals & Dean 2015, §5.1:
 * the covariance matrix of the predictions, for which no labels are needed). Any number of rows in batches of any size; memory C².
 *
 * @throws ShapeError, NumericError naming a row whose logits are no numbers
 */
export function countPredictions({ logits, into, backend }: CountPredictionsOptions): Moments {
  const caller = 'countPredictions'
  const { C } = dims(caller, { logits: [logits, 'N C', 'float32'] }) as { C: number }
  if (C < 2) throw new ArgumentError(caller, 'logits', '[N, C] with at least two classes', [...logits.dims])
  const x = softmax({ logits, backend })
  return covariance({ x, into, backend })
}

export interface PredictionMomentsOptions {
  readonly generalist: Predict
  /** Batches of inputs; labels are not read. One epoch of @imago/data's `batches` is one of these. */
  readonly batches: AsyncIterable<{ readonly inputs: TensorMap }> | Iterable<{ readonly inputs: TensorMap }>
  /** The output that holds the logits. Default `logits`. */
  readonly output?: string | undefined
  /** Told the number of rows so far. */
  readonly onRows?: ((rows: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * The moments of a generalist's predictions over batches of data, `countPredictions` for each.
 *
 * @throws ArgumentError where there are no rows or no such output; what the generalist throws; the signal's reason
 */
export async function predictionMoments(options: PredictionMomentsOptions): Promise<Moments> {
  const { generalist, batches, output = 'logits', onRows, signal } = options
  let moments: Moments | undefined
  for await (const { inputs } of batches) {
    signal?.throwIfAborted()
    const given = await generalist(inputs, signal)
    const logits = given[output]
    if (logits === undefined)
      throw new ArgumentError('predictionMoments', 'output', `one of ${Object.keys(given).join(', ')}`, output)
    moments = countPredictions({ logits, into: moments })
    onRows?.(moments.count)
  }
  if (moments === undefined) throw new ArgumentError('predictionMoments', 'batches', 'with at least one batch', 'none')
  return moments
}
