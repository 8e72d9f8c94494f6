import { type Batches, batches, type Dataset, jitterAugment, split, views } from '@imago/data'
import { adamw, constant, cosine, type Optimizer, type Schedule, sgd } from '@imago/optim'
import { ArgumentError, type Rng, type TensorMap } from '@imago/tensor'
import type { TrainingOptions } from '../options.js'

/** The optimizer that the options describe. `units` tells over which axis each weight's incoming weights lie. */
export function optimizerOf(
  options: Pick<
    TrainingOptions,
    'optimizer' | 'rate' | 'schedule' | 'momentum' | 'weightDecay' | 'maxSquaredNorm' | 'clip'
  >,
  units: { readonly [parameter: string]: 'rows' | 'columns' },
): Optimizer {
  const rate: Schedule = options.schedule === 'cosine' ? cosine({ peak: options.rate }) : constant(options.rate)
  const limit = options.maxSquaredNorm
  const common = {
    rate,
    weightDecay: options.weightDecay,
    ...(options.clip !== undefined && { clip: options.clip }),
    ...(limit !== undefined && { maxSquaredNorm: { limit, units } }),
  }
  return options.optimizer === 'adamw' ? adamw(common) : sgd({ ...common, momentum: options.momentum })
}

/** Of the weights whose incoming axis is known, those that max-norm can hold: trained ones, and columns of matrices only. */
export function heldUnits(
  axes: { readonly [weight: string]: 'rows' | 'columns' },
  parameters: TensorMap,
): { readonly [parameter: string]: 'rows' | 'columns' } {
  const held = Object.entries(axes).filter(([name, axis]) => {
    const rank = parameters[name]?.dims.length ?? 0
    return axis === 'rows' ? rank >= 2 : rank === 2
  })
  return Object.fromEntries(held)
}

/** Training batches (shuffled, jittered) and, where some rows are held out, validation batches. */
export function batchesOf(
  train: Dataset,
  options: TrainingOptions,
  random: Rng,
): { training: Batches; validation?: Batches } {
  const { validation, batch, jitter } = options
  if (validation > 0 && train.classes === undefined)
    throw new ArgumentError('imago', '--validation', 'left out for data that have no labels', validation)
  const parts = validation > 0 ? split(train, { validation, rng: random.split('validation') }) : { train }
  const fixed = options.views !== undefined
  const training = batches(fixed ? fixedViews(parts.train, options, random) : parts.train, {
    size: batch,
    rng: random.split('batches'),
    shuffle: true,
    ...(jitter > 0 && !fixed && { augment: jitterAugment(jitter) }),
  })
  if (!('validation' in parts)) return { training }
  return { training, validation: evaluationBatches(parts.validation) }
}

/** So many jittered views of each row, the same in every epoch. The same seed, jitter and number make the same views. */
export function fixedViews(
  rows: Dataset,
  { jitter, views: count = 1 }: Pick<TrainingOptions, 'jitter' | 'views'>,
  random: Rng,
): Dataset {
  if (jitter === 0) throw new ArgumentError('imago', '--views', 'given with --jitter, which makes views differ', count)
  return views(rows, { count, augment: jitterAugment(jitter), rng: random.split('views') })
}

/** Rows in their order, in batches large enough to be fast. */
export function evaluationBatches(rows: Dataset): Batches {
  return batches(rows, { size: 500, shuffle: false })
}
