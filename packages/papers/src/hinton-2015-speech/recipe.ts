import { ArgumentError } from '@imago/tensor'
import type { Job, RecipeEvent } from '../jobs/job.js'
import { markFolder } from '../jobs/mark-folder.js'
import { runJobs } from '../jobs/run-jobs.js'
import { stateStatistics } from '../speech/digit-models.js'
import { speechSplit } from '../speech/speech-split.js'
import {
  ensembleJob,
  memberJob,
  memberName,
  type SpeechResult,
  type SpeechShop,
  studentJob,
  studentName,
  twinJob,
  twinName,
} from './jobs.js'
import { type HintonSpeechOptions, type SpeechSettings, speechSettings } from './options.js'
import { type HintonSpeechResult, type SplitResults, tabulate } from './tabulate.js'

/**
 * "Distilling the Knowledge in a Neural Network" (Hinton, Vinyals & Dean 2015), §4, in small: frames of spoken digits with their context
 * → HMM states. Ten nets that differ in their initial weights and the order of frames, their ensemble, and one net of the same size
 * distilled from it, at several temperatures. Frame accuracy and, through a Viterbi decoder, digit errors; on the authors' split and with one
 * speaker left out. Every net is that of its best epoch on held-out utterances, and the temperature is chosen by them.
 *
 * An async generator of events that returns the table; goes on where it was killed, and shares a run folder with other processes.
 *
 * @throws ArgumentError, NotFoundError for a speaker who is not there, StateError where `runDir` belongs to something else
 */
export async function* hinton2015Speech(options: HintonSpeechOptions): AsyncGenerator<RecipeEvent, HintonSpeechResult> {
  const settings = speechSettings(options)
  check(settings)
  const { digits, runDir, threads } = options
  await markFolder({ ...options, recipe: 'hinton-2015/speech' })
  const shops = settings.splits.map((name): SpeechShop => {
    const { context, oneIn } = settings
    const split = speechSplit({ digits, context, oneIn, leaveOut: name === 'official' ? undefined : name })
    const aligned = split.train.utterances.map(({ states }) => states)
    return { split, digits, statistics: stateStatistics(aligned, digits.states.length), settings, threads }
  })
  const run = (jobs: readonly Job[]): ReturnType<typeof runJobs> =>
    runJobs(jobs, {
      runDir,
      ...(options.signal && { signal: options.signal }),
      ...(options.clock && { clock: options.clock }),
      ...(options.wait && { wait: options.wait }),
    })
  const splits: SplitResults[] = []
  const all = new Map<string, SpeechResult>()
  for (const shop of shops) {
    for (const [name, result] of yield* run(jobsOf(shop))) all.set(name, result as SpeechResult)
    const of = (name: string): SpeechResult => all.get(name)!
    const chosen = temperatureOf(shop, of)
    const more = seeds(settings.students).flatMap((seed) => [
      twinJob(shop, seed),
      ...(seed === 1 ? [] : [studentJob(shop, chosen, seed)]),
    ])
    for (const [name, result] of yield* run([...jobsOf(shop), ...more])) all.set(name, result as SpeechResult)
    splits.push({
      split: shop.split.name,
      members: seeds(settings.members).map((seed) => of(memberName(shop, seed))),
      ensemble: of(ensembleJob(shop).name),
      twins: seeds(settings.students).map((seed) => of(twinName(shop, seed))),
      chosen,
      distilled: settings.temperatures.map((temperature) => ({
        temperature,
        nets: seeds(temperature === chosen ? settings.students : 1).map((seed) =>
          of(studentName(shop, temperature, seed)),
        ),
      })),
    })
  }
  const curves = [...all].flatMap(([name, { training }]) => (training ? [[name, training.curve] as const] : []))
  return tabulate(settings, splits, Object.fromEntries(curves))
}

/** Members, ensemble, and one student of each temperature. */
function jobsOf(shop: SpeechShop): Job[] {
  const { members, temperatures } = shop.settings
  return [
    ...seeds(members).map((seed) => memberJob(shop, seed)),
    ensembleJob(shop),
    ...temperatures.map((temperature) => studentJob(shop, temperature, 1)),
  ]
}

/** The temperature whose first student makes the fewest errors on held-out frames; the first of equals. */
function temperatureOf(shop: SpeechShop, of: (name: string) => SpeechResult): number {
  const errors = (temperature: number): number => of(studentName(shop, temperature, 1)).heldOut.frameErrors
  return shop.settings.temperatures.reduce((best, one) => (errors(one) < errors(best) ? one : best))
}

function seeds(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1)
}

function check({ members, students, temperatures, splits, stretch }: SpeechSettings): void {
  const caller = 'hinton2015Speech'
  if (!(Number.isSafeInteger(members) && members >= 2))
    throw new ArgumentError(caller, 'members', 'a whole number ≥ 2', members)
  if (!(Number.isSafeInteger(students) && students >= 1))
    throw new ArgumentError(caller, 'students', 'a whole number ≥ 1', students)
  if (!(stretch >= 0 && stretch < 1)) throw new ArgumentError(caller, 'stretch', 'in [0, 1)', stretch)
  if (temperatures.length === 0) throw new ArgumentError(caller, 'temperatures', 'at least one', temperatures)
  if (splits.length === 0) throw new ArgumentError(caller, 'splits', '`official` or a speaker', splits)
}
