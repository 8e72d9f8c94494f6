import { subset } from '@imago/data'
import { ArgumentError } from '@imago/tensor'
import type { RecipeEvent } from '../jobs/job.js'
import { markFolder } from '../jobs/mark-folder.js'
import { runJobs } from '../jobs/run-jobs.js'
import { jobsOf } from './jobs.js'
import { type SelfDistillationOptions, selfDistillationSettings } from './options.js'
import type { SelfResult } from './shop.js'
import { type SelfDistillationResult, tabulate } from './tabulate.js'

/**
 * Distillation without a larger teacher, each beside the same net on labels: deep mutual learning (Zhang et al. 2018), born-again nets (Furlanello et al.
 * 2018), teacher-free distillation from one's own logits and from a virtual teacher (Yuan et al. 2020), and mean teacher with few labels
 * (Tarvainen & Valpola 2017). The papers' figures are of other nets and data: what is held is the direction.
 *
 * An async generator of events that returns the table; goes on where it was killed, and shares a run folder with other processes.
 *
 * @throws ArgumentError for settings out of range, StateError where `runDir` belongs to something else
 */
export async function* selfDistillation(
  options: SelfDistillationOptions,
): AsyncGenerator<RecipeEvent, SelfDistillationResult> {
  const settings = selfDistillationSettings(options)
  const { runDir, threads } = options
  const { seeds, labelled, rows } = settings
  if (seeds.length === 0) throw new ArgumentError('selfDistillation', 'seeds', 'at least one', seeds)
  const { train, test } = options.data
  if (!(Number.isSafeInteger(rows) && rows > 0 && rows <= train.length))
    throw new ArgumentError('selfDistillation', 'rows', `a whole number in [1, ${train.length}]`, rows)
  if (!(labelled > 0 && labelled < rows))
    throw new ArgumentError('selfDistillation', 'labelled', `in (0, ${rows})`, labelled)
  await markFolder({ ...options, recipe: 'self-distillation' })
  const data = {
    train: subset(
      train,
      Uint32Array.from({ length: rows }, (_, i) => i),
    ),
    test,
  }
  const jobs = seeds.flatMap((seed) => jobsOf({ data, settings, threads }, seed))
  const results = yield* runJobs(jobs, {
    runDir,
    ...(options.signal && { signal: options.signal }),
    ...(options.clock && { clock: options.clock }),
    ...(options.wait && { wait: options.wait }),
  })
  return tabulate(settings, results as ReadonlyMap<string, SelfResult>)
}
