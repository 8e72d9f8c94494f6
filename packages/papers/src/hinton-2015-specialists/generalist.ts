import { batches } from '@imago/data'
import { hardLabel } from '@imago/losses'
import { mlp } from '@imago/onnx'
import { predictor } from '@imago/runtime'
import { confusionClusters, predictionMoments, summarizeSets } from '@imago/specialists'
import type { JsonObject } from '@imago/trainer'
import type { Job } from '../jobs/job.js'
import { trainBest } from '../jobs/train-best.js'
import { configOf, falling, named, randomOf, type SpecialistsShop, shuffled, sizesOf } from './shop.js'

/** The net that everything begins as: labels, all classes. */
export function generalistJob(shop: SpecialistsShop): Job {
  const { task, settings, threads } = shop
  return {
    name: generalistName(shop),
    config: configOf(shop, { kind: 'generalist' }),
    run(context) {
      const random = randomOf(shop, 'generalist')
      const { dropout } = settings
      return trainBest(
        {
          model: mlp(sizesOf(shop), {
            rng: random.split('weights'),
            ...(dropout > 0 && { dropout: { hidden: dropout } }),
          }),
          data: shuffled(shop, task.train, random.split('batches')),
          heldOut: task.heldOut,
          loss: hardLabel(),
          optimizer: falling(settings.rate),
          epochs: settings.epochs,
          rng: random.split('masks'),
          ...(threads !== undefined && { threads }),
        },
        context,
      )
    },
  }
}

export function generalistName(shop: SpecialistsShop): string {
  return named(shop, 'generalist')
}

/** A set of table 2. */
export interface SetRow extends JsonObject {
  readonly set: string
  readonly names: readonly string[]
  /** Mean correlation of two of its classes, and of one with one outside. */
  readonly cohesion: number
  readonly outside: number
}

export interface SetsResult extends JsonObject {
  readonly sets: readonly { readonly name: string; readonly classes: readonly number[] }[]
  readonly table: readonly SetRow[]
  /** Classes that no set has. */
  readonly uncovered: readonly string[]
  readonly notes: readonly string[]
}

/** Class sets from the generalist's predictions on held-out rows, which it does not know by heart; labels are not looked at. */
export function setsJob(shop: SpecialistsShop): Job {
  const { task, settings, threads } = shop
  const { count, size, columns } = settings
  return {
    name: setsName(shop),
    needs: [generalistName(shop)],
    config: configOf(shop, { kind: 'sets', count, ...(size && { size }), columns }),
    async *run(context): AsyncGenerator<never, SetsResult> {
      const general = await predictor(context.file(generalistName(shop), 'model.onnx'), { threads })
      try {
        const moments = await predictionMoments({
          generalist: general,
          batches: batches(task.heldOut, { size: 500, shuffle: false }).epoch(0),
          signal: context.signal,
        })
        const found = confusionClusters({ moments, count, ...(size && { size }), columns, rng: randomOf(shop, 'sets') })
        const sets = found.sets.map(({ name, classes }) => ({ name, classes: [...classes] }))
        const summary = summarizeSets({ sets, moments, names: task.names })
        return {
          sets,
          table: summary.sets.map(({ name, classes, cohesion, outside }) => ({
            set: name,
            names: [...classes],
            cohesion,
            outside,
          })),
          uncovered: [...summary.uncovered],
          notes: [...found.notes],
        }
      } finally {
        await general.dispose()
      }
    },
  }
}

export function setsName(shop: SpecialistsShop): string {
  return named(shop, 'sets')
}
