import { ArgumentError, StateError } from '@imago/tensor'
import type { JsonObject } from '@imago/trainer'
import type { Job, RecipeEvent } from '../jobs/job.js'
import { markFolder } from '../jobs/mark-folder.js'
import { runJobs } from '../jobs/run-jobs.js'
import type { TrainingResult } from '../jobs/train-model.js'
import { studentJob, teacherJob, type Workshop } from './jobs.js'
import { type HintonMnistOptions, type Settings, settingsOf } from './options.js'
import { type HintonMnistResult, type Trial, tabulate, type Variant } from './tabulate.js'

/**
 * "Distilling the Knowledge in a Neural Network" (Hinton, Vinyals & Dean 2015), §3: MNIST. For each seed a 1200-1200 teacher with
 * dropout, max-norm and jittered images; an 800-800 student on hard labels; the same student on the teacher's soft targets.
 * Rates are chosen on held-out training images, errors are those of the last epoch.
 *
 * An async generator of events that returns the table. Everything lies in `runDir`, one folder a job; what was killed
 * goes on, what is done is read, and further processes on the same folder share the work.
 *
 * @throws StateError where `runDir` belongs to something else; NumericError where a training run diverges
 */
export async function* hinton2015Mnist(options: HintonMnistOptions): AsyncGenerator<RecipeEvent, HintonMnistResult> {
  const settings = settingsOf(options)
  check(options, settings)
  await markFolder({ ...options, recipe: 'hinton-2015/mnist' })
  const shop: Workshop = { data: options.data, settings, threads: options.threads }
  const run = (jobs: readonly Job[]): ReturnType<typeof runJobs> =>
    runJobs(jobs, {
      runDir: options.runDir,
      ...(options.signal && { signal: options.signal }),
      ...(options.clock && { clock: options.clock }),
      ...(options.wait && { wait: options.wait }),
    })

  const teachers = settings.seeds.map((seed) =>
    teacherJob(shop, `teacher-${seed}`, { seed, epochs: settings.teacherEpochs }),
  )
  const trials = trialsOf(shop)
  const first = yield* run(trials.jobs)
  const chosen = trials.choose(first)
  const main = settings.seeds.flatMap((seed) => [
    studentJob(shop, `plain-${seed}`, { seed, rate: chosen.plain, epochs: settings.epochs }),
    studentJob(shop, `distilled-${seed}`, {
      seed,
      rate: chosen.distilled,
      epochs: settings.epochs,
      soft: { ...soft(settings), teacher: `teacher-${seed}` },
    }),
  ])
  const variants = settings.ablation ? variantsOf(shop, chosen.distilled) : []
  const last = yield* run([...teachers, ...main, ...variants.map(({ job }) => job)])
  const of = (name: string): TrainingResult => last.get(name) as TrainingResult
  return tabulate(settings, chosen, trials.rows(first), of, variants)
}

function soft({ temperature, hardWeight }: Settings): { temperature: number; hardWeight: number } {
  return { temperature, hardWeight }
}

/**
 * The one-standard-error rule (Breiman et al. 1984, §3.4.3): trials whose errors n exceed the fewest, n₀, by no more than √n₀ are as good
 * by errors; the lowest cross entropy, which is less noisy, decides among them.
 */
function leastWithinOneError(trials: readonly Trial[]): Trial {
  const fewest = Math.min(...trials.map(({ errors }) => errors))
  const [best] = trials
    .filter(({ errors }) => errors <= fewest + Math.sqrt(fewest))
    .sort((a, b) => a.crossEntropy - b.crossEntropy)
  return best!
}

/** Trials of each rate on 55,000 images; `leastWithinOneError` on the other 5,000 chooses. */
function trialsOf(shop: Workshop): {
  readonly jobs: readonly Job[]
  choose(results: ReadonlyMap<string, JsonObject>): { plain: number; distilled: number }
  rows(results: ReadonlyMap<string, JsonObject>): Trial[]
} {
  const { settings } = shop
  const { rates, selectionEpochs: epochs } = settings
  const [seed] = settings.seeds as readonly [number, ...number[]]
  if (epochs === 0 || rates.length === 1)
    return { jobs: [], choose: () => ({ plain: rates[0]!, distilled: rates[0]! }), rows: () => [] }
  const teacher = 'select-teacher'
  const name = (kind: Trial['name'], rate: number): string => `select-${kind}-${rate}`
  // Short runs come down to 0, or the noise of their last steps would choose.
  const plan = { seed, epochs, heldOut: true, schedule: 'cosine' as const }
  const jobs = [
    teacherJob(shop, teacher, plan),
    ...rates.map((rate) => studentJob(shop, name('plain', rate), { ...plan, rate })),
    ...rates.map((rate) =>
      studentJob(shop, name('distilled', rate), { ...plan, rate, soft: { ...soft(settings), teacher } }),
    ),
  ]
  const trial = (results: ReadonlyMap<string, JsonObject>, kind: Trial['name'], rate: number): Trial => {
    const { errors, rows, crossEntropy } = results.get(name(kind, rate)) as TrainingResult
    return { name: kind, rate, epochs, errors, rows, crossEntropy }
  }
  const best = (results: ReadonlyMap<string, JsonObject>, kind: Trial['name']): number =>
    leastWithinOneError(rates.map((rate) => trial(results, kind, rate))).rate
  return {
    jobs,
    choose: (results) => ({ plain: best(results, 'plain'), distilled: best(results, 'distilled') }),
    rows: (results) =>
      (['plain', 'distilled'] as const).flatMap((kind) => rates.map((rate) => trial(results, kind, rate))),
  }
}

/**
 * The distilled student of the first seed in a third of the epochs, and that with one change at a time: shorter runs show
 * the same directions for a third of the time.
 */
function variantsOf(shop: Workshop, rate: number): Variant[] {
  const { settings } = shop
  const [seed] = settings.seeds as readonly [number, ...number[]]
  const epochs = Math.ceil(settings.epochs / 3)
  const base = { seed, rate, epochs, soft: { ...soft(settings), teacher: `teacher-${seed}` } }
  const vary = (what: string, value: number, change: object, against = shorter): Variant => ({
    what,
    value,
    against,
    job: studentJob(shop, `vary-${what.replaceAll(' ', '-')}-${value}`, { ...base, ...change }),
  })
  const shorter = `vary-epochs-${epochs}`
  const other = (values: readonly number[], own: number): readonly number[] => values.filter((value) => value !== own)
  return [
    vary('epochs', epochs, {}, `distilled-${seed}`),
    ...other([0, 0.5], settings.hardWeight).map((value) =>
      vary('hard label share', value, { soft: { ...base.soft, hardWeight: value } }),
    ),
    ...other([4, 20], settings.temperature).map((value) =>
      vary('temperature', value, { soft: { ...base.soft, temperature: value } }),
    ),
    ...other(settings.rates, rate).map((value) => vary('learning rate', value, { rate: value })),
  ]
}

/** @throws ArgumentError, StateError for data that is not MNIST's shape */
export function check({ data }: Pick<HintonMnistOptions, 'data'>, settings: Settings): void {
  if (settings.seeds.length === 0)
    throw new ArgumentError('hinton2015Mnist', 'seeds', 'at least one whole number', settings.seeds)
  if (settings.rates.length === 0)
    throw new ArgumentError('hinton2015Mnist', 'rates', 'at least one learning rate', settings.rates)
  const { inputs } = data.train.rows(Uint32Array.of(0))
  if (inputs.input?.dims.join() !== '1,784')
    throw new StateError(
      'hinton2015Mnist: the data has no input "input" of 784 values a row',
      'Give mnist() of @imago/data',
    )
}
