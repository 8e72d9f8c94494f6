import type { Characters, Omniglot } from '@imago/data'
import { type RecipeOptions, type SettingsOf, settled } from '../jobs/recipe-options.js'

/** What one data set asks for. */
export interface TaskSettings {
  /** Units of the hidden layers of the generalist, and so of everything that begins as it. */
  readonly hidden: readonly number[]
  /** The probability to drop a hidden unit, of every net. */
  readonly dropout: number
  /**
   * Training rows are so many views of each image, moved by so much (degrees, shares, pixels) and the same in every epoch. Absent: the images as they are.
   */
  readonly views?: {
    readonly count: number
    readonly turn: number
    readonly scale: number
    readonly shear: number
    readonly shift: number
  }
  /** Most passes over the training rows of the generalist; every net is that of its best epoch on held-out rows. */
  readonly epochs: number
  readonly rate: number
  readonly batch: number
  /** Specialists, and classes of each; without a size the sets are a partition. */
  readonly count: number
  readonly size?: number
  readonly columns: 'covariance' | 'correlation'
  /** Most passes of a specialist over its rows: twice as many as its classes have. */
  readonly specialistEpochs: number
  /** The peak rate of everything that begins as the generalist: specialists, the generalist trained on, the one distilled back. */
  readonly furtherRate: number
  /** Of the distilled-back net. */
  readonly temperature: number
  /** Experts of the mixture, each with half of the generalist's hidden units. */
  readonly experts: number
}

/** What the recipe may vary. Defaults are in `defaults`. */
export interface SpecialistsOptions extends RecipeOptions {
  /** `emnist()` of @imago/data. */
  readonly emnist?: Characters
  /** `omniglot()` of @imago/data. */
  readonly omniglot?: Omniglot
  readonly seeds?: readonly number[]
  /** Numbers n of the generalist's best classes that make specialists active, to choose from on held-out rows. */
  readonly topN?: readonly number[]
  /** Training images of EMNIST: one in so many. */
  readonly oneIn?: number
  readonly tasks?: { readonly emnist: TaskSettings; readonly omniglot: TaskSettings }
  /** One seed and half of EMNIST: whether the effects point the right way. */
  readonly fast?: boolean
}

export type SpecialistsSettings = SettingsOf<SpecialistsOptions, 'emnist' | 'omniglot'>

export const defaults: SpecialistsSettings = {
  seeds: [1, 2, 3],
  /** §5.4 has n = 1. */
  topN: [1, 2, 3],
  oneIn: 1,
  tasks: {
    emnist: {
      /** Few: like the paper's generalist on 100 million images, it is short of units rather than of rows. */
      hidden: [64],
      dropout: 0,
      epochs: 30,
      rate: 3e-3,
      batch: 128,
      count: 16,
      size: 6,
      columns: 'correlation',
      specialistEpochs: 8,
      furtherRate: 2e-3,
      temperature: 2,
      experts: 4,
    },
    omniglot: {
      hidden: [64],
      dropout: 0,
      /** Fourteen drawings of each character are too few without. */
      views: { count: 4, turn: 10, scale: 0.1, shear: 0.1, shift: 2 },
      epochs: 24,
      rate: 3e-3,
      batch: 128,
      /** A partition has one cluster of 939 classes: the columns of so many classes are nearly all at right angles to each other. */
      count: 12,
      size: 120,
      columns: 'correlation',
      specialistEpochs: 6,
      furtherRate: 2e-3,
      temperature: 2,
      experts: 4,
    },
  },
  fast: false,
}

export const fastDefaults: Partial<SpecialistsSettings> = { seeds: [1], oneIn: 2 }

/** Tables 3 and 4 of §5.5: JFT, 15,000 classes, 61 specialists for 300 classes each. Percent. */
export const paper = {
  baseline: { conditional: 43.1, overall: 25.0 },
  specialists: { conditional: 45.9, overall: 26.1 },
  /** Relative, of overall accuracy. */
  gain: 4.4,
  /** Relative change of accuracy by the number of specialists that cover the true class. */
  byCovering: {
    0: 0,
    1: 3.4,
    2: 7.4,
    3: 8.8,
    4: 10.5,
    5: 11.1,
    6: 11.3,
    7: 12.8,
    8: 13.6,
    9: 16.6,
    '10 or more': 14.1,
  },
} as const

/** Options over `fast` over defaults. */
export function specialistsSettings(options: Partial<SpecialistsOptions>): SpecialistsSettings {
  const base: SpecialistsSettings = { ...defaults, ...(options.fast && fastDefaults) }
  return settled(base, options)
}
