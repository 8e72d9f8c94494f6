import { type Targets, type TensorMap, tensorMap } from '@imago/tensor'
import type { BatchTargets, FitOptions, Outcome } from './fit.js'
import { fit } from './fit.js'
import { rememberTargets } from './remember-targets.js'
import type { Report } from './report.js'
import { checkStart } from './start-check.js'
import { dataTargets } from './train.js'

export interface DistillOptions extends FitOptions {
  /** What supervises: a teacher (`fromPredict(predictor)`), a store, anything that gives tensors for samples. */
  readonly targets: Targets
  /**
   * Compute the targets of every row once, before the first step, and keep them in memory? Default: where the data is not
   * augmented and they fit into `memoryLimit`. `true` for augmented data is the reader's wish to use the targets of the first
   * epoch's inputs throughout, and wrong for most purposes.
   */
  readonly remember?: boolean
  /** Bytes for remembered targets; default 1 GiB. */
  readonly memoryLimit?: number
}

/**
 * Train a student on targets that a teacher gives: an async generator of reports, which returns the run's history. The loss
 * finds the teacher's tensors by name and the batch's labels as `labels`.
 *
 * @throws ShapeError where teacher and student disagree on classes, NumericError where the teacher's first row is not finite;
 *   and what `fit` throws
 */
export async function* distill(options: DistillOptions): AsyncGenerator<Report, Outcome> {
  const { data, signal } = options
  const withLabels =
    (source: Targets): BatchTargets =>
    async (batch, abort) => {
      const given = await source({ ids: batch.ids, inputs: batch.inputs }, abort)
      return joined(given, dataTargets('distill', options, batch))
    }
  const warning = await checkStart('distill', options, withLabels(options.targets))
  if (warning) yield warning
  const remember = options.remember ?? !data.augmented
  const source = remember
    ? yield* rememberTargets(options.targets, data, options.memoryLimit ?? 2 ** 30, signal)
    : options.targets
  return yield* fit('distill', options, withLabels(source))
}

/** What the teacher gives wins: a store may hold labels of its own. */
function joined(teacher: TensorMap, labels: TensorMap): TensorMap {
  const all = tensorMap(Object.entries(labels))
  for (const name in teacher) all[name] = teacher[name]!
  return all
}
