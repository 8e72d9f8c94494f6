import { ArgumentError } from '@imago/tensor'
import type { JsonObject } from '@imago/trainer'
import type { Job, RecipeEvent } from '../jobs/job.js'
import { markFolder } from '../jobs/mark-folder.js'
import { runJobs } from '../jobs/run-jobs.js'
import { generalistJob, generalistName, type SetsResult, setsJob, setsName } from './generalist.js'
import { combinedName, combinedSystems, type JudgeResult, judgeJob, netSystem } from './judge.js'
import { type SpecialistsOptions, type SpecialistsSettings, specialistsSettings } from './options.js'
import { named, type SpecialistsShop } from './shop.js'
import { type Head, heads, type SpecialistResult, specialistJob, specialistName } from './specialists.js'
import { backJob, budgetOf, mixtureJob, onJob, onName, openEnsemble, secondJob } from './systems.js'
import { accuracy, back, generalist, type SpecialistsTableResult, type TaskResults, tabulate } from './tabulate.js'
import { emnistTask, omniglotTask, type SpecialistTask, withViews } from './task.js'

/**
 * "Distilling the Knowledge in a Neural Network" (Hinton, Vinyals & Dean 2015), §5 and §6.1, on handwritten characters, and the step that §8 leaves open:
 * a generalist; sets of the classes that it confuses; a specialist for each, with a dustbin and with all classes; both together by eq. 5; and one
 * net of the generalist's size distilled from them. Beside them what the same budget buys otherwise: the generalist trained on, a second net
 * in an ensemble, a mixture of experts. Head, n and rates are chosen on held-out rows; test rows are only counted on.
 *
 * An async generator of events that returns the tables; goes on where it was killed, and shares a run folder with other processes.
 *
 * @throws ArgumentError where there is no data, StateError where `runDir` belongs to something else
 */
export async function* hinton2015Specialists(
  options: SpecialistsOptions,
): AsyncGenerator<RecipeEvent, SpecialistsTableResult> {
  const settings = specialistsSettings(options)
  const { emnist, omniglot, runDir } = options
  const caller = 'hinton2015Specialists'
  if (!emnist && !omniglot) throw new ArgumentError(caller, 'emnist', 'given, or `omniglot`', undefined)
  for (const name of ['seeds', 'topN'] as const)
    if (settings[name].length === 0) throw new ArgumentError(caller, name, 'at least one', settings[name])
  await markFolder({ ...options, recipe: 'hinton-2015/specialists' })
  const tasks = [
    ...(emnist ? [[emnistTask(emnist, settings.oneIn), settings.tasks.emnist] as const] : []),
    ...(omniglot ? [[omniglotTask(omniglot), settings.tasks.omniglot] as const] : []),
  ]
  const results: TaskResults[] = []
  for (const [plain, own] of tasks) {
    const task = own.views ? withViews(plain, own.views) : plain
    const shops = settings.seeds.map(
      (seed): SpecialistsShop => ({ task, settings: own, seed, threads: options.threads }),
    )
    results.push(yield* taskResults(task, shops, settings, { ...options, runDir }))
  }
  return tabulate(settings, results)
}

type Results = ReadonlyMap<string, JsonObject>

async function* taskResults(
  task: SpecialistTask,
  shops: readonly SpecialistsShop[],
  { topN }: SpecialistsSettings,
  options: SpecialistsOptions,
): AsyncGenerator<RecipeEvent, TaskResults> {
  let jobs: Job[] = []
  let results: Results = new Map()
  const run = async function* (more: readonly Job[]): AsyncGenerator<RecipeEvent> {
    jobs = [...jobs, ...more]
    results = yield* runJobs(jobs, {
      runDir: options.runDir,
      ...(options.signal && { signal: options.signal }),
      ...(options.clock && { clock: options.clock }),
      ...(options.wait && { wait: options.wait }),
    })
  }
  const setsOf = (shop: SpecialistsShop): SetsResult => results.get(setsName(shop)) as SetsResult
  const specialists = (shop: SpecialistsShop, head: Head): SpecialistResult[] =>
    setsOf(shop).sets.map((set) => results.get(specialistName(shop, set, head)) as SpecialistResult)
  const judged = (name: string): JudgeResult[] => shops.map((shop) => results.get(named(shop, name)) as JudgeResult)
  const bestOf = (from: readonly JudgeResult[], names: readonly string[]): string =>
    names.reduce((best, name) =>
      accuracy(from, name, 'heldOut', 'within') > accuracy(from, best, 'heldOut', 'within') ? name : best,
    )

  yield* run(shops.flatMap((shop) => [generalistJob(shop), setsJob(shop)]))
  yield* run(
    shops.flatMap((shop) => {
      const { sets } = setsOf(shop)
      const systems = [netSystem(shop, generalist, generalistName(shop)), ...combinedSystems(shop, sets, topN)]
      return [
        ...heads.flatMap((head) => sets.map((set) => specialistJob(shop, set, head))),
        judgeJob(shop, 'combined', sets, systems),
      ]
    }),
  )
  const plans = heads.flatMap((head) => topN.map((n) => ({ head, topN: n, name: combinedName(head, n) })))
  const chosen = bestOf(
    judged('combined'),
    plans.map(({ name }) => name),
  )
  const plan = plans.find(({ name }) => name === chosen)!
  const budgets = shops.map((shop) =>
    budgetOf(
      shop,
      specialists(shop, plan.head).map(({ cost }) => cost),
    ),
  )
  const rates = [1, 1 / 4].map((factor) => factor * shops[0]!.settings.furtherRate)
  const onSystem = (rate: number): string => `trained on at ${rate}`
  yield* run(
    shops.flatMap((shop, s) => {
      const { sets } = setsOf(shop)
      const epochs = budgets[s]!
      const distilled = backJob(shop, { sets, head: plan.head, topN: plan.topN, epochs })
      const mixture = mixtureJob(shop, epochs)
      const second = secondJob(shop, epochs)
      return [
        ...rates.map((rate) => onJob(shop, epochs, rate)),
        second,
        mixture,
        distilled,
        judgeJob(shop, `others-${chosen.replaceAll(/\W+/g, '-')}`, sets, [
          ...rates.map((rate) => netSystem(shop, onSystem(rate), onName(shop, rate))),
          {
            name: 'ensemble of two nets',
            needs: [generalistName(shop), second.name],
            open: (context) => openEnsemble(shop, context),
          },
          netSystem(shop, 'mixture of experts', mixture.name),
          netSystem(shop, back, distilled.name),
        ]),
      ]
    }),
  )
  const others = judged(`others-${chosen.replaceAll(/\W+/g, '-')}`)
  return {
    task: task.name,
    epochs: shops[0]!.settings.epochs,
    further: budgets,
    sets: shops.map(setsOf),
    specialists: {
      dustbin: shops.flatMap((shop) => specialists(shop, 'dustbin')),
      full: shops.flatMap((shop) => specialists(shop, 'full')),
    },
    combined: judged('combined'),
    others,
    chosen,
    on: bestOf(others, rates.map(onSystem)),
  }
}
