import { ArgumentError } from '@imago/tensor'
import type { Job, RecipeEvent } from '../jobs/job.js'
import { markFolder } from '../jobs/mark-folder.js'
import { runJobs } from '../jobs/run-jobs.js'
import { imageSet, speechSet } from '../sets/classifier-set.js'
import {
  type BaCaruanaJobResult,
  type BaCaruanaShop,
  deepJob,
  deepName,
  shallowJob,
  shallowName,
  type Teaching,
  teacherJob,
} from './jobs.js'
import { type BaCaruanaOptions, baCaruanaSettings } from './options.js'
import { type BaCaruanaResult, type SetResults, tabulate } from './tabulate.js'

/**
 * "Do Deep Nets Really Need to be Deep?" (Ba & Caruana 2014), in small: a shallow net with a linear bottleneck, as many weights as a deep
 * one, on labels; on the logits of an ensemble of deep nets, by regression; and on the ensemble's distribution at several temperatures.
 * Ways to teach share first weights, order of rows and number of steps; each has the rate that does best on held-out rows.
 *
 * An async generator of events that returns the table; goes on where it was killed, and shares a run folder with other processes.
 *
 * @throws ArgumentError where there is no data, StateError where `runDir` belongs to something else
 */
export async function* baCaruana2014(options: BaCaruanaOptions): AsyncGenerator<RecipeEvent, BaCaruanaResult> {
  const settings = baCaruanaSettings(options)
  const { digits, images, runDir, threads } = options
  const { seeds, rates, members, oneIn, deep, regularized, temperatures } = settings
  const caller = 'baCaruana2014'
  if (!digits && !images) throw new ArgumentError(caller, 'digits', 'given, or `images`', undefined)
  for (const [name, list] of Object.entries({ seeds, rates, temperatures }))
    if (list.length === 0) throw new ArgumentError(caller, name, 'at least one', list)
  if (!(Number.isSafeInteger(members) && members >= 1))
    throw new ArgumentError(caller, 'members', 'a whole number ≥ 1', members)
  await markFolder({ ...options, recipe: 'ba-caruana-2014' })
  const shops: BaCaruanaShop[] = [
    ...(digits
      ? [{ set: speechSet(digits, oneIn), deep: deep.fsdd, regularized: regularized.fsdd, settings, threads }]
      : []),
    ...(images
      ? [{ set: imageSet('mnist', images, oneIn), deep: deep.mnist, regularized: regularized.mnist, settings, threads }]
      : []),
  ]
  const ways: Teaching[] = ['labels', 'regression', ...temperatures]
  const run = (jobs: readonly Job[]): ReturnType<typeof runJobs> =>
    runJobs(jobs, {
      runDir,
      ...(options.signal && { signal: options.signal }),
      ...(options.clock && { clock: options.clock }),
      ...(options.wait && { wait: options.wait }),
    })
  const [first] = seeds as readonly [number, ...number[]]
  const trials = shops.flatMap((shop): Job[] => [
    ...Array.from({ length: members }, (_, i) => deepJob(shop, i + 1)),
    teacherJob(shop),
    ...ways.flatMap((way) => rates.map((rate) => shallowJob(shop, way, rate, first))),
  ])
  const tried = yield* run(trials)
  const chosen = (shop: BaCaruanaShop, way: Teaching): number => {
    const errors = (rate: number): number =>
      (tried.get(shallowName(shop, way, rate, first)) as BaCaruanaJobResult).heldOutErrorRate
    return rates.reduce((best, rate) => (errors(rate) < errors(best) ? rate : best))
  }
  const rest = shops.flatMap((shop) =>
    ways.flatMap((way) => seeds.slice(1).map((seed) => shallowJob(shop, way, chosen(shop, way), seed))),
  )
  const results = yield* run([...trials, ...rest])
  const of = (name: string): BaCaruanaJobResult => results.get(name) as BaCaruanaJobResult
  const sets = shops.map(
    (shop): SetResults => ({
      set: shop.set.name,
      deep: Array.from({ length: members }, (_, i) => of(deepName(shop, i + 1))),
      teacher: of(teacherJob(shop).name),
      shallow: ways.map((teaching) => {
        const rate = chosen(shop, teaching)
        return { teaching, rate, nets: seeds.map((seed) => of(shallowName(shop, teaching, rate, seed))) }
      }),
    }),
  )
  return tabulate(settings, sets, results as ReadonlyMap<string, BaCaruanaJobResult>)
}
