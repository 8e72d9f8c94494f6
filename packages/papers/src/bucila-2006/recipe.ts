import { join } from 'node:path'
import { batches } from '@imago/data'
import { arithmetic, ensemble } from '@imago/ensembles'
import { predictor } from '@imago/runtime'
import { ArgumentError, type Predict, type TensorMap } from '@imago/tensor'
import type { Job, RecipeEvent } from '../jobs/job.js'
import { markFolder } from '../jobs/mark-folder.js'
import { runJobs } from '../jobs/run-jobs.js'
import {
  chosenMaking,
  type EnsembleResult,
  ensembleJob,
  jobNames,
  labelJobs,
  memberJobs,
  mimicJobs,
  openMembers,
  trialJobs,
  type Workshop,
  workshop,
} from './jobs.js'
import { type Bucila2006Options, type Settings, settingsOf } from './options.js'
import { problemNames, readProblem } from './problems.js'
import { type Bucila2006Result, type ProblemResult, problemRow, tabulate } from './tabulate.js'

/**
 * "Model Compression" (Bucilă, Caruana & Niculescu-Mizil 2006): an ensemble selected from a library of nets, and one small net that mimics it,
 * trained on rows that MUNGE makes of the training rows and the ensemble labels; beside it the same net trained on the labels themselves, and
 * on rows that RANDOM and a naive-Bayes mixture make. Four of the paper's eight problems.
 *
 * An async generator of events that returns the tables. Everything lies in `runDir`, one folder a job; what was killed goes on, what is
 * done is read, and further processes on the same folder share the work.
 *
 * @throws NotFoundError where the data is not there, StateError where `runDir` belongs to something else
 */
export async function* bucila2006(options: Bucila2006Options): AsyncGenerator<RecipeEvent, Bucila2006Result> {
  const settings = settingsOf(options)
  check(settings)
  const { runDir, dataDir, signal, clock, wait, threads } = options
  const shops: Workshop[] = []
  for (const name of settings.problems)
    shops.push(workshop(await readProblem(name, dataDir, settings.rows), settings, threads))
  await markFolder({ runDir, recipe: 'bucila-2006', ...(signal && { signal }), ...(wait && { wait }) })
  const run = (jobs: readonly Job[]): ReturnType<typeof runJobs> =>
    runJobs(jobs, { runDir, ...(signal && { signal }), ...(clock && { clock }), ...(wait && { wait }) })
  const first = shops.flatMap((shop): Job[] => [
    ...memberJobs(shop),
    ...labelJobs(shop),
    ensembleJob(shop),
    ...trialJobs(shop),
  ])
  const tried = yield* run(first)
  const mimics = shops.flatMap((shop) => mimicJobs(shop, (how) => chosenMaking(shop, how, tried)))
  const names = new Set(first.map(({ name }) => name))
  const results = yield* run([...first, ...mimics.filter(({ name }) => !names.has(name))])
  const problems: ProblemResult[] = []
  for (const shop of shops) {
    const row = problemRow(shop, results)
    const whole = results.get(jobNames.ensemble(shop)) as EnsembleResult
    const mimic = jobNames.mimic(shop, 'munge', settings.points.at(-1)!, chosenMaking(shop, 'munge', results))
    const speed = clock && (await speeds(shop, whole, mimic, runDir, clock, signal))
    problems.push(speed ? { ...row, speed } : row)
  }
  return tabulate(settings, problems)
}

/** Milliseconds of the ensemble and of the mimic for the same 2,000 test rows in batches of 100, the best of five rounds in turns. */
async function speeds(
  shop: Workshop,
  { weights }: EnsembleResult,
  mimicName: string,
  runDir: string,
  clock: () => number,
  signal: AbortSignal | undefined,
): Promise<{ ensemble: number; mimic: number }> {
  const file = (job: string, name: string): string => join(runDir, job, name)
  const used = weights.flatMap((weight, i) => (weight > 0 ? [i] : []))
  const members = await openMembers(shop, used, { file })
  const mimic = await predictor(file(mimicName, 'model.onnx'), { threads: shop.threads })
  try {
    const inputs: TensorMap[] = []
    for await (const batch of batches(shop.sets.test, { size: 100, shuffle: false }).epoch(0)) {
      inputs.push(batch.inputs)
      if (inputs.length === 20) break
    }
    const whole = ensemble(members, arithmetic({ weights: used.map((i) => weights[i]!) }))
    const best = { ensemble: Number.POSITIVE_INFINITY, mimic: Number.POSITIVE_INFINITY }
    for (let round = 0; round < 5; round++)
      for (const [name, predict] of [
        ['ensemble', whole],
        ['mimic', mimic],
      ] as const)
        best[name] = Math.min(best[name], await time(predict))
    return best

    async function time(predict: Predict): Promise<number> {
      const start = clock()
      for (const one of inputs) await predict(one, signal)
      return clock() - start
    }
  } finally {
    await mimic.dispose()
    for (const one of members) await one.dispose()
  }
}

function check(settings: Settings): void {
  const { problems, members, points, probabilities, mimicRates } = settings
  const unknown = problems.find((name) => !problemNames.includes(name))
  if (problems.length === 0 || unknown !== undefined)
    throw new ArgumentError('bucila2006', 'problems', `some of ${problemNames.join(', ')}`, unknown ?? problems)
  if (!(Number.isSafeInteger(members) && members >= 2))
    throw new ArgumentError('bucila2006', 'members', 'a whole number ≥ 2', members)
  if (probabilities.length === 0 || probabilities.some((p) => !(p > 0 && p <= 1)))
    throw new ArgumentError('bucila2006', 'probabilities', 'at least one, in (0, 1]', probabilities)
  if (mimicRates.length === 0 || mimicRates.some((rate) => !(rate > 0 && Number.isFinite(rate))))
    throw new ArgumentError('bucila2006', 'mimicRates', 'at least one, > 0', mimicRates)
  if (points.length === 0 || points.some((n, i) => !(Number.isSafeInteger(n) && n > (points[i - 1] ?? 0))))
    throw new ArgumentError('bucila2006', 'points', 'whole numbers > 0, ascending', points)
}
