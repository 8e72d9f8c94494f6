import type { JsonObject, Report, RunFolder } from '@imago/trainer'

/** A part of a recipe that has a folder and a result of its own, and can be run by any process that shares the run folder. */
export interface Job {
  /** Its folder's name. */
  readonly name: string
  /** Jobs whose results or files it reads. */
  readonly needs?: readonly string[]
  /** What its result depends on: a result or checkpoint made with another config is refused. */
  readonly config: JsonObject
  run(context: JobContext): AsyncGenerator<Report, JsonObject>
}

export interface JobContext {
  /** The job's own folder, held by this process. */
  readonly folder: RunFolder
  /** The path of a file of a job that is needed. */
  file(job: string, name: string): string
  readonly signal?: AbortSignal
  readonly clock?: () => number
}

/** What a recipe says while it runs. */
export type RecipeEvent =
  | {
      readonly kind: 'job'
      readonly job: string
      /** `found`: its result was there; `elsewhere`: another process works on what is left, this one waits. */
      readonly state: 'begins' | 'done' | 'found' | 'elsewhere'
      readonly done: number
      readonly of: number
    }
  | { readonly kind: 'report'; readonly job: string; readonly report: Report }
