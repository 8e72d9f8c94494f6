import type { Effect } from '@imago/papers'
import type { Context } from '../context.js'
import type { Report } from '../report/page.js'

/** Every option of `imago paper`; a recipe says which of them it reads. */
export interface PaperOptions {
  readonly out?: string
  readonly dataDir?: string
  readonly data?: string[]
  readonly fast?: boolean
  readonly epochs?: number
  readonly teacherEpochs?: number
  readonly studentEpochs?: number
  readonly seeds?: number[]
  readonly rates?: number[]
  readonly selectionEpochs?: number
  readonly optimizer?: 'adamw' | 'sgd'
  readonly schedule?: 'cosine' | 'constant'
  readonly temperature?: number
  readonly hardWeight?: number
  readonly ablation: boolean
  readonly hidden?: number[]
  readonly members?: number
  readonly temperatures?: number[]
  readonly students?: number
  readonly splits?: string[]
  readonly omit?: number[]
  readonly only?: number[]
  readonly problems?: string[]
  readonly points?: number[]
  readonly steps?: number
  readonly threads: number
  readonly json?: boolean
}

/** What a recipe came to: its result as it goes into JSON, and how it is shown. */
export interface PaperRun {
  readonly result: object
  readonly report: Report
  readonly effects: readonly Effect[]
  /** What its files in the run folder are called, `NAME.json` and `NAME.html`; default result.json and report.html. */
  readonly file?: string
}

/** A recipe of @imago/papers as the command line has it. */
export interface PaperRecipe {
  readonly name: string
  /** One line for the list of recipes. */
  readonly about: string
  /** The options that it reads beside --out, --data-dir, --fast, --threads, --json; others are refused. */
  readonly reads: readonly (keyof PaperOptions)[]
  run(context: Context, options: PaperOptions, runDir: string): Promise<PaperRun>
}
