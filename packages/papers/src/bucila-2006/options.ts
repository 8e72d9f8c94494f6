import { type RecipeOptions, type SettingsOf, settled } from '../jobs/recipe-options.js'
import { type ProblemName, problemNames } from './problems.js'

export interface Bucila2006Options extends RecipeOptions {
  /** The folder that has adult, covertype and letter, or whose folder data has them. */
  readonly dataDir: string
  readonly problems?: readonly ProblemName[]
  /** Less of everything: whether the effects point the right way, in ≤ 10 minutes on 2 cores. */
  readonly fast?: boolean
  /** Nets in the library of each problem. */
  readonly members?: number
  /** Synthetic rows that mimics are trained on, ascending. */
  readonly points?: readonly number[]
  /** Hidden units of the mimic, and of the same net on labels. */
  readonly hidden?: number
  /** Steps of each mimic, whatever the number of points: more points are more different rows, not more training. */
  readonly steps?: number
  /** MUNGE's p, to choose from on the rows held out, for each problem by itself. */
  readonly probabilities?: readonly number[]
  /** MUNGE's s. */
  readonly localVariance?: number
  /** Peaks of the mimics' rate to choose from likewise, for each kind of synthetic rows. Squared errors of probabilities have smaller gradients. */
  readonly mimicRates?: readonly number[]
  readonly seed?: number
}

export type Settings = SettingsOf<Bucila2006Options, 'dataDir'> & {
  readonly rows: { readonly train: number; readonly holdOut: number; readonly test: number }
  readonly batch: number
  readonly rate: number
  /** Epochs of the longest of the library's nets. */
  readonly memberEpochs: number
  /** Rounds of the selection. */
  readonly rounds: number
  /** Selections from random halves of the library, of which the mean is taken. */
  readonly bags: number
  /** Epochs of the net on labels to choose from by the rows held out. */
  readonly labelEpochs: readonly number[]
}

/** Defaults of a full run, each with where it comes from. */
export const defaults: Settings = {
  problems: problemNames,
  fast: false,
  members: 36,
  /** The range of the paper's curves (figure 2). */
  points: [25_000, 50_000, 100_000, 200_000, 400_000],
  /** Of the size of the paper's mimics, "up to a few hundred". */
  hidden: 128,
  steps: 40_000,
  /** The paper tunes p and s for each problem; s = 5 is what other implementations take. */
  probabilities: [0.2, 0.5],
  localVariance: 5,
  seed: 1,
  /** §4.1: 4,000 to train, 1,000 to choose by; the rest to test, at most 20,000 of it. */
  rows: { train: 4000, holdOut: 1000, test: 20_000 },
  batch: 100,
  /** Adam's own default (Kingma & Ba 2015), down to 0 on half a cosine. */
  rate: 1e-3,
  mimicRates: [1e-3, 3e-3],
  memberEpochs: 160,
  rounds: 20,
  bags: 20,
  labelEpochs: [5, 15, 45, 135, 405],
}

/** What `fast` changes. */
export const fastDefaults: Partial<Settings> = {
  members: 20,
  points: [25_000, 50_000, 100_000],
  steps: 8000,
  rows: { train: 4000, holdOut: 1000, test: 8000 },
  memberEpochs: 120,
  labelEpochs: [5, 15, 45, 135],
}

/** Options over `fast` over defaults. */
export function settingsOf(options: Bucila2006Options): Settings {
  const base: Settings = { ...defaults, ...(options.fast && fastDefaults) }
  return settled(base, options)
}
