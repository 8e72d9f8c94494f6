import type { SpokenDigits } from '@imago/data'
import { type RecipeOptions, type SettingsOf, settled } from '../jobs/recipe-options.js'

/** What the recipe may vary. Defaults are in `defaults`, each with where it comes from. */
export interface HintonSpeechOptions extends RecipeOptions {
  /** `fsdd()` of @imago/data. */
  readonly digits: SpokenDigits
  /** `official`, or the name of a speaker who is left out of training and tested on. */
  readonly splits?: readonly string[]
  /** Frames before and after the one that is asked about. */
  readonly context?: { readonly before: number; readonly after: number }
  /** Units of the hidden layers of every net. */
  readonly hidden?: readonly number[]
  /** Of the members; the distilled net has none, and a twin of its own on labels, but where a speaker is left out. */
  readonly dropout?: { readonly input: number; readonly hidden: number }
  /**
   * Where a speaker is left out, distilled nets and their twins learn from windows whose time and frequency are each stretched by up to this share either
   * way, anew in every epoch, and with the members' dropout.
   */
  readonly stretch?: number
  /** Nets in the ensemble. */
  readonly members?: number
  readonly temperatures?: readonly number[]
  /** The relative weight h of the labels beside the soft targets' 1. */
  readonly hardWeight?: number
  /** Most passes over the training frames; each net is that of its best epoch on held-out utterances. */
  readonly epochs?: number
  /** The same for distilled nets and their twins on labels: soft targets go on teaching when labels are known by heart. */
  readonly studentEpochs?: number
  readonly rate?: number
  readonly batch?: number
  /** Distilled nets at the temperature that does best on held-out utterances; of the others there is one. */
  readonly students?: number
  /** One utterance in so many is used. */
  readonly oneIn?: number
  /** Half of the utterances, and fewer students: whether the effects point the right way. */
  readonly fast?: boolean
}

export type SpeechSettings = SettingsOf<HintonSpeechOptions, 'digits'>

export const defaults: SpeechSettings = {
  splits: ['official', 'theo'],
  /** 15 frames; §4.1 has 26. Recordings here are half a second long. */
  context: { before: 7, after: 7 },
  /** §4.1 has 8 layers of 2560 for 700 million frames; here are 80,000. */
  hidden: [256, 256],
  /** So that members do not know the training frames by heart: §4.1 has 700 million, and these are seen ten times. */
  dropout: { input: 0.1, hidden: 0.15 },
  /** Other voices than those of the training set. Chosen by leaving out two other speakers in turn, on data without theo: docs/results. */
  stretch: 0.1,
  /** §4.1. */
  members: 10,
  /** §4.1: "We tried temperatures of [1, 2, 5, 10] and used a relative weight of 0.5 on the cross-entropy for the hard targets". */
  temperatures: [1, 2, 5, 10],
  hardWeight: 0.5,
  epochs: 10,
  studentEpochs: 25,
  rate: 3e-3,
  batch: 256,
  students: 3,
  oneIn: 1,
  fast: false,
}

export const fastDefaults: Partial<SpeechSettings> = {
  temperatures: [1, 2, 5],
  students: 1,
  oneIn: 2,
}

/** Table 1: frame accuracy and word error rate, in percent. */
export const paper = {
  baseline: { frameAccuracy: 58.9, wordErrorRate: 10.9 },
  ensemble: { frameAccuracy: 61.1, wordErrorRate: 10.7 },
  distilled: { frameAccuracy: 60.8, wordErrorRate: 10.7 },
  /** §4.2: "more than 80 % of the improvement in frame classification accuracy". */
  keptShare: 0.8,
} as const

/** Options over `fast` over defaults. */
export function speechSettings(options: Partial<HintonSpeechOptions>): SpeechSettings {
  const base: SpeechSettings = { ...defaults, ...(options.fast && fastDefaults) }
  return settled(base, options)
}
