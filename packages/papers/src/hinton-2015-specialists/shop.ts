import { batches, type Dataset } from '@imago/data'
import { adamw, cosine, type Optimizer } from '@imago/optim'
import { type Rng, rng } from '@imago/tensor'
import type { JsonObject } from '@imago/trainer'
import type { TaskSettings } from './options.js'
import type { SpecialistTask } from './task.js'

/** What makes the jobs of one data set and seed. */
export interface SpecialistsShop {
  readonly task: SpecialistTask
  readonly settings: TaskSettings
  readonly seed: number
  readonly threads?: number | undefined
}

/** The name of a job of this shop. */
export function named({ task, seed }: SpecialistsShop, kind: string): string {
  return `${task.name}-${seed}-${kind}`
}

/** What every job of this shop depends on, and what this one does beside. */
export function configOf(
  { task, settings, seed }: SpecialistsShop,
  own: JsonObject & { readonly kind: string },
): JsonObject {
  const { hidden, dropout, epochs, rate, batch, views } = settings
  return {
    ...own,
    task: task.name,
    rows: task.train.length,
    seed,
    hidden: [...hidden],
    dropout,
    epochs,
    rate,
    batch,
    ...(views && { views: { ...views } }),
  }
}

/** A generator of this seed for one use. */
export function randomOf({ seed }: SpecialistsShop, use: string): Rng {
  return rng(seed).split(use)
}

/** Training rows in a new order each epoch. */
export function shuffled(shop: SpecialistsShop, data: Dataset, random: Rng): ReturnType<typeof batches> {
  return batches(data, { size: shop.settings.batch, rng: random })
}

export function falling(peak: number): Optimizer {
  return adamw({ rate: cosine({ peak }) })
}

export function sizesOf({ task, settings }: SpecialistsShop): number[] {
  return [task.inputs, ...settings.hidden, task.classes]
}

/** Weights of the layers of a net: multiply-adds of a row. */
export function costOf(sizes: readonly number[]): number {
  return sizes.slice(1).reduce((sum, units, i) => sum + units * sizes[i]!, 0)
}
