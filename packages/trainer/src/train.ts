import type { Batch } from '@imago/data'
import { describe, NotFoundError, type TensorMap, tensor, tensorMap } from '@imago/tensor'
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
  const targets = async (batch: Batch): Promise<TensorMap> => dataTargets('train', options, batch)
  await checkStart('train', options, targets)
  return yield* fit('train', options, targets)
}

/**
 * What the data themselves tell: labels as the target `labels`, int32 [N], where there are any; `ids` where the loss reads them; the
 * inputs that `fromInputs` names.
 */
export function dataTargets(
  caller: string,
  { loss, fromInputs = {} }: Pick<FitOptions, 'loss' | 'fromInputs'>,
  batch: Batch,
): TensorMap {
  const { targets: needs } = loss.needs
  const given = tensorMap()
  if (batch.labels) given.labels = tensor('int32', [batch.labels.length], batch.labels)
  if (needs.includes('ids')) given.ids = tensor('uint32', [batch.ids.length], batch.ids)
  for (const [target, input] of Object.entries(fromInputs)) {
    const value = batch.inputs[input]
    if (value === undefined)
      throw new NotFoundError(
        `${caller}: fromInputs names ${describe(input)}, which the data do not have`,
        `There is: ${Object.keys(batch.inputs).join(', ')}`,
      )
    given[target] = value
  }
  if (needs.includes('labels') && given.labels === undefined)
    throw new NotFoundError(
      `${caller}: the loss reads labels and the data has none`,
      'Give labelled rows, or distil with soft targets alone',
    )
  return given
}
