import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ArgumentError, FormatError, StateError } from '@imago/tensor'
import { claimRunFolder, differences, FolderInUse, type JsonObject, type RunFolder, readRunFile } from '@imago/trainer'
import type { Job, RecipeEvent } from './job.js'

export interface RunJobsOptions {
  /** The run folder; each job has a folder in it. */
  readonly runDir: string
  readonly signal?: AbortSignal
  /** Milliseconds, for rows per second. */
  readonly clock?: () => number
  /** How to wait while another process works; default: a timer. */
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<unknown>
}

const resultFile = 'result.json'

/**
 * Do all jobs, each once, whoever does it: processes that share a run folder each take the next job that is free and ready, and
 * wait for the others' results in the end. A job that was killed goes on from its checkpoint; one that is done is read.
 *
 * @throws ArgumentError where a job needs one that is not there, StateError where a job's folder holds a result or a run of another config
 */
export async function* runJobs(
  jobs: readonly Job[],
  options: RunJobsOptions,
): AsyncGenerator<RecipeEvent, ReadonlyMap<string, JsonObject>> {
  const { runDir, signal, clock, wait = timer } = options
  const names = new Set(jobs.map(({ name }) => name))
  for (const { name, needs = [] } of jobs)
    for (const other of needs)
      if (!names.has(other))
        throw new ArgumentError('runJobs', 'jobs', `with ${other}, which ${name} needs`, [...names])
  const results = new Map<string, JsonObject>()
  const event = (job: Job, state: 'begins' | 'done' | 'found' | 'elsewhere'): RecipeEvent => ({
    kind: 'job',
    job: job.name,
    state,
    done: results.size,
    of: jobs.length,
  })
  let told = false
  while (results.size < jobs.length) {
    signal?.throwIfAborted()
    const next = await nextJob(jobs, results, runDir)
    if (next === undefined) {
      const left = jobs.find(({ name }) => !results.has(name))!
      if (!told) yield event(left, 'elsewhere')
      told = true
      await wait(2000, signal)
      continue
    }
    told = false
    const { job, found, folder } = next
    if (folder === undefined) {
      results.set(job.name, found)
      yield event(job, 'found')
      continue
    }
    try {
      yield event(job, 'begins')
      const result = yield* work(job, folder)
      await folder.write(resultFile, `${JSON.stringify({ config: job.config, result }, null, 2)}\n`)
      results.set(job.name, result)
    } finally {
      await folder.release()
    }
    yield event(job, 'done')
  }
  return results

  async function* work(job: Job, folder: RunFolder): AsyncGenerator<RecipeEvent, JsonObject> {
    const file = (other: string, name: string): string => join(runDir, other, name)
    const reports = job.run({ folder, file, ...(signal && { signal }), ...(clock && { clock }) })
    for (;;) {
      const { value, done } = await reports.next()
      if (done) return value
      yield { kind: 'report', job: job.name, report: value }
    }
  }
}

type Next =
  | { readonly job: Job; readonly found: JsonObject; readonly folder?: undefined }
  | { readonly job: Job; readonly found?: undefined; readonly folder: RunFolder }

/** The first job that is done elsewhere, or that is ready and free; undefined where others hold all that are left. */
async function nextJob(
  jobs: readonly Job[],
  results: ReadonlyMap<string, JsonObject>,
  runDir: string,
): Promise<Next | undefined> {
  for (const job of jobs) {
    if (results.has(job.name)) continue
    const path = join(runDir, job.name)
    const found = await resultOf(job, path)
    if (found) return { job, found }
    if (job.needs?.some((name) => !results.has(name))) continue
    const folder = await claimIfFree(path, job.config)
    if (folder === undefined) continue
    // Between the look and the claim another process may have come to the end of it.
    const late = await resultOf(job, path)
    if (late === undefined) return { job, folder }
    await folder.release()
    return { job, found: late }
  }
  return undefined
}

async function claimIfFree(path: string, config: JsonObject): Promise<RunFolder | undefined> {
  try {
    return await claimRunFolder(path, config)
  } catch (error) {
    if (error instanceof FolderInUse) return undefined
    throw error
  }
}

async function resultOf(job: Job, path: string): Promise<JsonObject | undefined> {
  const bytes = await readRunFile(path, resultFile)
  if (!bytes) return undefined
  const where = join(path, resultFile)
  let kept: { config?: JsonObject; result?: JsonObject }
  try {
    kept = JSON.parse(new TextDecoder().decode(bytes)) as typeof kept
  } catch (cause) {
    throw new FormatError(where, 'is not JSON; delete it to do this job again', { cause })
  }
  const differ = differences(kept.config, JSON.parse(JSON.stringify(job.config)) as JsonObject)
  if (differ.length === 0 && kept.result) return kept.result
  throw new StateError(
    `${where} is the result of another run (${differ.join('; ')})`,
    'Choose another run folder, or give the options of that run',
  )
}

function timer(ms: number, signal?: AbortSignal): Promise<unknown> {
  return sleep(ms, undefined, signal ? { signal } : {}).catch((error: unknown) => {
    // The caller looks at the signal and throws its reason.
    if (!signal?.aborted) throw error
  })
}
