import type { Batch } from '@imago/data'
import { NotFoundError, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import { type FitOptions, fit, type Outcome } from './fit.js'
import type { Report } from './report.js'
import { checkStart } from './start-check.js'

export interface TrainOptions extends FitOptions {}

/**
 * Train a student on the labels of `data`: an async generator of reports, which returns the run's history. Work is done
 * only while reports are asked for.
 *
 * @throws NotFoundError where the data has no labels; and what `fit` throws
 */
export async function* train(options: TrainOptions): AsyncGenerator<Report, Outcome> {
  const targets = async (batch: Batch): Promise<TensorMap> => labelTargets('train', options.loss.needs.targets, batch)
  await checkStart('train', options, targets)
  return yield* fit('train', options, targets)
}

/** The batch's labels as the target `labels`, int32 [N], where there are any. */
export function labelTargets(caller: string, needs: readonly string[], batch: Batch): TensorMap {
  if (batch.labels) return tensorMap([['labels', tensor('int32', [batch.labels.length], batch.labels)]])
  if (needs.includes('labels'))
    throw new NotFoundError(
      `${caller}: the loss reads labels and the data has none`,
      'Give labelled rows, or distil with soft targets alone',
    )
  return {}
}
