import type { SpokenDigits, TrainTest } from '@imago/data'
import { type RecipeOptions, type SettingsOf, settled } from '../jobs/recipe-options.js'

/** What the recipe may vary. Defaults are in `defaults`, each with where it comes from. */
export interface RegularizerOptions extends RecipeOptions {
  /** `fsdd()` of @imago/data: frames of spoken digits, as in the paper. */
  readonly digits?: SpokenDigits
  /** MNIST: rows [N, 784] in [0, 1] as input `input`. */
  readonly images?: TrainTest
  /** The share of the training set that the small sets have. */
  readonly share?: number
  /** Temperatures to choose from on held-out rows. */
  readonly temperatures?: readonly number[]
  readonly seeds?: readonly number[]
  /** Passes over the whole training set, and over a small one. */
  readonly epochs?: number
  readonly fewEpochs?: number
  readonly rate?: number
  /** One seed, and a part of the data: whether the effects point the right way. */
  readonly fast?: boolean
  /** Units of the hidden layers, by data set. */
  readonly hidden?: { readonly fsdd: readonly number[]; readonly mnist: readonly number[] }
  /** One training utterance, or image, in so many is used. */
  readonly oneIn?: number
}

export type RegularizerSettings = SettingsOf<RegularizerOptions, 'digits' | 'images'>

export const defaults: RegularizerSettings = {
  /** §6. */
  share: 0.03,
  /** §6 does not say; these are the ones of §4, and that of the MNIST nets of §3. */
  temperatures: [1, 2, 5, 10, 20],
  seeds: [1, 2, 3],
  epochs: 15,
  fewEpochs: 120,
  rate: 1e-3,
  fast: false,
  hidden: { fsdd: [256, 256], mnist: [800, 800] },
  oneIn: 1,
}

export const fastDefaults: Partial<RegularizerSettings> = {
  temperatures: [2, 5, 20],
  seeds: [1],
  epochs: 6,
  fewEpochs: 60,
}

/** Table 5: frame accuracy in percent, on the rows learned from and on the test rows. */
export const paper = {
  'hard, all': { train: 63.4, test: 58.9 },
  'hard, few': { train: 67.3, test: 44.5 },
  'soft, few': { train: 65.4, test: 57.0 },
} as const

/** Options over `fast` over defaults. */
export function regularizerSettings(options: Partial<RegularizerOptions>): RegularizerSettings {
  const base: RegularizerSettings = { ...defaults, ...(options.fast && fastDefaults) }
  return settled(base, options)
}
