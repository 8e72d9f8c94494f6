import type { SpokenDigits, TrainTest } from '@imago/data'
import { type RecipeOptions, type SettingsOf, settled } from '../jobs/recipe-options.js'

/** What the recipe may vary. Defaults are in `defaults`, each with where it comes from. */
export interface BaCaruanaOptions extends RecipeOptions {
  /** `fsdd()` of @imago/data: frames of spoken digits, as the paper's TIMIT. */
  readonly digits?: SpokenDigits
  /** MNIST: rows [N, 784] in [0, 1] as input `input`. */
  readonly images?: TrainTest
  /** Units of the hidden layers of the deep nets, by data set. */
  readonly deep?: { readonly fsdd: readonly number[]; readonly mnist: readonly number[] }
  /** Linear and hidden units of the shallow net. */
  readonly bottleneck?: number
  readonly hidden?: number
  /** What keeps the deep nets from learning their rows by heart; `jitter` moves images by so many pixels. The shallow net has none of it. */
  readonly regularized?: {
    readonly [set in 'fsdd' | 'mnist']: { readonly input: number; readonly hidden: number; readonly jitter: number }
  }
  /** Deep nets in the teacher; the mean of their logits is what is learned. */
  readonly members?: number
  readonly temperatures?: readonly number[]
  readonly seeds?: readonly number[]
  /** Passes over the training set, of deep nets and of shallow ones. */
  readonly epochs?: number
  readonly studentEpochs?: number
  /** The peak of the deep nets' rate. */
  readonly deepRate?: number
  /** Peaks of the shallow nets' rate to choose from on held-out rows, for each way to teach by itself. */
  readonly rates?: readonly number[]
  /** One seed, one rate, few epochs: whether the effects point the right way. */
  readonly fast?: boolean
  /** One training utterance, or image, in so many is used. */
  readonly oneIn?: number
}

export type BaCaruanaSettings = SettingsOf<BaCaruanaOptions, 'digits' | 'images'>

export const defaults: BaCaruanaSettings = {
  /** The paper's DNN has three layers of 2000. */
  deep: { fsdd: [256, 256, 256], mnist: [400, 400, 400] },
  /** As in this house's other recipes: Hinton et al. 2015 §3 for images; a little for frames. */
  regularized: {
    fsdd: { input: 0.1, hidden: 0.1, jitter: 0 },
    mnist: { input: 0.2, hidden: 0.3, jitter: 2 },
  },
  /** The paper's SNN-8k has 250 and 8000 and as many weights as its DNN; so has this one. */
  bottleneck: 80,
  hidden: 2000,
  /** The paper's ECNN has nine. */
  members: 5,
  temperatures: [1, 2, 4, 20],
  seeds: [1, 2],
  epochs: 20,
  studentEpochs: 30,
  deepRate: 2e-3,
  rates: [2e-3, 5e-4],
  fast: false,
  oneIn: 1,
}

export const fastDefaults: Partial<BaCaruanaSettings> = {
  members: 4,
  seeds: [1],
  studentEpochs: 25,
  rates: [2e-3],
  oneIn: 4,
}

/** Table 1, TIMIT: phone error rates in percent. */
export const paper = {
  /** SNN-8k. */
  labels: 23.1,
  /** DNN, three layers of 2000. */
  deep: 21.9,
  /** ECNN, nine convolutional nets. */
  teacher: 18.5,
  /** SNN-MIMIC-8k. */
  regression: 21.6,
} as const

/** Options over `fast` over defaults. */
export function baCaruanaSettings(options: Partial<BaCaruanaOptions>): BaCaruanaSettings {
  const base: BaCaruanaSettings = { ...defaults, ...(options.fast && fastDefaults) }
  return settled(base, options)
}
