import type { TrainTest } from '@imago/data'
import { type RecipeOptions, type SettingsOf, settled } from '../jobs/recipe-options.js'

/** What the recipe may vary. Defaults are in `defaults`. */
export interface SelfDistillationOptions extends RecipeOptions {
  /** Labelled images: rows [N, 784] in [0, 1] as input `input`; `digits()` of @imago/data draws them. */
  readonly data: TrainTest
  /** Training rows that are used, the first ones. */
  readonly rows?: number
  /** Units of the hidden layers of every net. */
  readonly hidden?: readonly number[]
  readonly seeds?: readonly number[]
  readonly epochs?: number
  readonly rate?: number
  /** Born-again nets one after another. */
  readonly generations?: number
  /** Teacher-free: T and the share of the soft term, of one's own logits and of the virtual teacher. */
  readonly self?: { readonly temperature: number; readonly softWeight: number }
  readonly virtual?: { readonly temperature: number; readonly softWeight: number; readonly correct: number }
  /** Mean teacher: rows that keep their label, the decay, the weight of the consistency at its height. */
  readonly labelled?: number
  /** Pixels by which the images of these two nets are moved anew in each epoch. */
  readonly jitter?: number
  /** Probability to drop a hidden unit of these two. */
  readonly dropout?: number
  readonly decay?: number
  readonly consistency?: number
}

export type SelfDistillationSettings = SettingsOf<SelfDistillationOptions, 'data'>

export const defaults: SelfDistillationSettings = {
  rows: 1000,
  hidden: [64],
  seeds: [1, 2, 3],
  epochs: 60,
  rate: 2e-3,
  fast: false,
  generations: 3,
  /** Looked for on another drawing of the digits. */
  self: { temperature: 4, softWeight: 0.3 },
  /** Yuan et al. 2020, §4.2: T = 20, right with 0.99. */
  virtual: { temperature: 20, softWeight: 0.1, correct: 0.99 },
  labelled: 100,
  decay: 0.99,
  jitter: 2,
  dropout: 0.3,
  consistency: 10,
}

export const fastDefaults: Partial<SelfDistillationSettings> = { seeds: [1], epochs: 12, generations: 1 }

/** What the papers report, in percent of errors (second-hand): the net on labels, and with the method. Other data and nets: a direction, no target. */
export const paper = {
  mutual: { source: 'Zhang et al. 2018, table 2: ResNet-32 pair, CIFAR-100', labels: 31.01, method: 28.81 },
  'born again': { source: 'Furlanello et al. 2018, table 2: DenseNet-112-33, CIFAR-100', labels: 18.25, method: 17.61 },
  'own logits': { source: 'Yuan et al. 2020, table 5: ResNet18, CIFAR-100', labels: 24.13, method: 22.9 },
  'virtual teacher': { source: 'Yuan et al. 2020, table 7: ResNet18, CIFAR-100', labels: 24.13, method: 22.64 },
  'mean teacher': { source: 'Tarvainen & Valpola 2017, table 1: SVHN, 250 labels', labels: 27.77, method: 4.35 },
} as const

/** Options over `fast` over defaults. */
export function selfDistillationSettings(options: Partial<SelfDistillationOptions>): SelfDistillationSettings {
  return settled({ ...defaults, ...(options.fast && fastDefaults) }, options)
}
