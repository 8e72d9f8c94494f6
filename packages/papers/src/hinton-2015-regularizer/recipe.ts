import { ArgumentError } from '@imago/tensor'
import type { Job, RecipeEvent } from '../jobs/job.js'
import { markFolder } from '../jobs/mark-folder.js'
import { runJobs } from '../jobs/run-jobs.js'
import { imageSet, speechSet } from '../sets/classifier-set.js'
import {
  fullJob,
  fullName,
  hardJob,
  hardName,
  type RegularizerJobResult,
  type RegularizerShop,
  softJob,
  softName,
} from './jobs.js'
import { type RegularizerOptions, regularizerSettings } from './options.js'
import { type RegularizerResult, type SetResults, tabulate } from './tabulate.js'

/**
 * "Distilling the Knowledge in a Neural Network" (Hinton, Vinyals & Dean 2015), §6, soft targets as regularizers: one net on the labels of the
 * whole training set, on the labels of 3 % of it, and on the first one's soft targets for the same 3 %, which carry no label. Early
 * stopping, and the temperature, by held-out rows; the accuracy of the last epoch stands beside.
 *
 * An async generator of events that returns the table; goes on where it was killed, and shares a run folder with other processes.
 *
 * @throws ArgumentError where there is no data, StateError where `runDir` belongs to something else
 */
export async function* hinton2015Regularizer(
  options: RegularizerOptions,
): AsyncGenerator<RecipeEvent, RegularizerResult> {
  const settings = regularizerSettings(options)
  const { digits, images, runDir, threads } = options
  const { oneIn, hidden, seeds, temperatures } = settings
  const caller = 'hinton2015Regularizer'
  if (!digits && !images) throw new ArgumentError(caller, 'digits', 'given, or `images`', undefined)
  if (seeds.length === 0) throw new ArgumentError(caller, 'seeds', 'at least one', seeds)
  if (temperatures.length === 0) throw new ArgumentError(caller, 'temperatures', 'at least one', temperatures)
  if (!(settings.share > 0 && settings.share < 1)) throw new ArgumentError(caller, 'share', 'in (0, 1)', settings.share)
  await markFolder({ ...options, recipe: 'hinton-2015/soft-targets-as-regularizer' })
  const shops: RegularizerShop[] = [
    ...(digits ? [{ set: speechSet(digits, oneIn), hidden: hidden.fsdd, settings, threads }] : []),
    ...(images ? [{ set: imageSet('mnist', images, oneIn), hidden: hidden.mnist, settings, threads }] : []),
  ]
  const jobs = shops.flatMap((shop): Job[] => [
    fullJob(shop),
    ...seeds.map((seed) => hardJob(shop, seed)),
    ...temperatures.flatMap((temperature) => seeds.map((seed) => softJob(shop, temperature, seed))),
  ])
  const results = yield* runJobs(jobs, {
    runDir,
    ...(options.signal && { signal: options.signal }),
    ...(options.clock && { clock: options.clock }),
    ...(options.wait && { wait: options.wait }),
  })
  const of = (name: string): RegularizerJobResult => results.get(name) as RegularizerJobResult
  const sets = shops.map(
    (shop): SetResults => ({
      set: shop.set.name,
      all: of(fullName(shop)),
      hard: seeds.map((seed) => of(hardName(shop, seed))),
      soft: temperatures.map((temperature) => ({
        temperature,
        nets: seeds.map((seed) => of(softName(shop, temperature, seed))),
      })),
    }),
  )
  return tabulate(settings, sets, results as ReadonlyMap<string, RegularizerJobResult>)
}
