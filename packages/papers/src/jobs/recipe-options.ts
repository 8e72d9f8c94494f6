import type { RunJobsOptions } from './run-jobs.js'

/** What every recipe takes beside what it is about. */
export interface RecipeOptions extends RunJobsOptions {
  /** Threads of ONNX Runtime in this process. */
  readonly threads?: number
  /** Smaller, in minutes: whether the effects point the right way. */
  readonly fast?: boolean
}

/** What of a recipe's options makes its results what they are: not its data, nor where and how it runs. */
export type SettingsOf<Options, Data extends keyof Options> = Required<
  Omit<Options, Data | Exclude<keyof RecipeOptions, 'fast'>>
>

/** What is given of the settings, over `base`. */
export function settled<Settings extends object>(base: Settings, options: object): Settings {
  const given = Object.entries(options).filter(([key, value]) => key in base && value !== undefined)
  return { ...base, ...(Object.fromEntries(given) as Partial<Settings>) }
}
