import { predictor } from '@imago/runtime'
import { ArgumentError } from '@imago/tensor'
import type { JsonObject } from '@imago/trainer'
import type { Effect } from '../effect.js'
import type { Job, RecipeEvent } from '../jobs/job.js'
import { markFolder } from '../jobs/mark-folder.js'
import { runJobs } from '../jobs/run-jobs.js'
import type { TrainingResult } from '../jobs/train-model.js'
import { labelsOf } from '../of-classes.js'
import { predictRows } from '../predict-rows.js'
import { type BiasRows, bestShift, biasRows, errorsAt, shiftToPrior } from './class-bias.js'
import { studentJob, teacherJob, type Workshop } from './jobs.js'
import { type HintonMnistOptions, type Settings, settingsOf } from './options.js'
import { check } from './recipe.js'

/** Those of the whole table that have a part in this one; the rate of students is the first of `rates`. */
export interface MnistTransferOptions
  extends Omit<HintonMnistOptions, 'selectionEpochs' | 'ablation' | 'hardWeight' | 'optimizer'> {
  /** A transfer set without the images of these digits. */
  readonly omit?: readonly number[]
  /** A transfer set of the images of these digits and no others. */
  readonly only?: readonly number[]
}

/** One student on one transfer set, with one choice of the constant that is added to the biases of the digits it never saw. */
export interface TransferRow {
  readonly transfer: string
  readonly seed: number
  /**
   * `as learned`; `best on the test set`: the paper's choice, a bound; `by the prior`: the mean probability of the unseen digits over the
   * training images, labels unread, is made their share of the training set.
   */
  readonly bias: 'as learned' | 'best on the test set' | 'by the prior'
  readonly shift: number
  readonly errors: number
  readonly rows: number
  /** Errors among test images of the digits that the student never saw, and how many those are. */
  readonly unseenErrors: number
  readonly unseenRows: number
  /** What §3 reports for it. */
  readonly expected?: { readonly errors: number; readonly unseenErrors?: number; readonly shift?: number }
}

export interface MnistTransferResult {
  readonly rows: readonly TransferRow[]
  /** Test errors of the teachers, by seed. */
  readonly teachers: readonly { readonly seed: number; readonly errors: number }[]
  readonly effects: readonly Effect[]
  readonly settings: Settings
}

/** §3, last paragraph. The biases of 7 and 8 are lowered by 7.6, which is the others raised by as much. */
const expected: { readonly [transfer: string]: { readonly [bias: string]: TransferRow['expected'] } } = {
  'omit 3': {
    'as learned': { errors: 206, unseenErrors: 133, shift: 0 },
    'best on the test set': { errors: 109, unseenErrors: 14, shift: 3.5 },
  },
  'only 7,8': {
    'as learned': { errors: 4730, shift: 0 },
    'best on the test set': { errors: 1320, shift: 7.6 },
  },
}

/**
 * "Distilling the Knowledge in a Neural Network" (Hinton, Vinyals & Dean 2015), §3: the transfer set without a digit, or with two digits
 * alone. The student learns of the digits that it never sees from the soft targets of the others; what it gets wrong is their bias, and a
 * constant puts that right. Teachers are those of `hinton2015Mnist`, and are shared with it in one `runDir`.
 *
 * An async generator of events that returns the table; goes on where it was killed.
 *
 * @throws ArgumentError where neither `omit` nor `only` is given or what is left is nothing; StateError for a foreign `runDir`
 */
export async function* hinton2015MnistTransfer(
  options: MnistTransferOptions,
): AsyncGenerator<RecipeEvent, MnistTransferResult> {
  const settings = settingsOf(options)
  check(options, settings)
  const sets = transferSets(options)
  await markFolder({ ...options, recipe: 'hinton-2015/mnist' })
  const shop: Workshop = { data: options.data, settings, threads: options.threads }
  const teachers = settings.seeds.map((seed) =>
    teacherJob(shop, `teacher-${seed}`, { seed, epochs: settings.teacherEpochs }),
  )
  const students = sets.flatMap((set) => settings.seeds.map((seed) => transferJob(shop, set, seed)))
  const results = yield* runJobs([...teachers, ...students], {
    runDir: options.runDir,
    ...(options.signal && { signal: options.signal }),
    ...(options.clock && { clock: options.clock }),
    ...(options.wait && { wait: options.wait }),
  })
  const rows = sets.flatMap((set) =>
    settings.seeds.flatMap((seed) => (results.get(nameOf(set, seed)) as unknown as TransferJobResult).rows),
  )
  return {
    rows: rows.map((row) => {
      const known = expected[row.transfer]?.[row.bias]
      return known ? { ...row, expected: known } : row
    }),
    teachers: settings.seeds.map((seed) => ({
      seed,
      errors: (results.get(`teacher-${seed}`) as TrainingResult).errors,
    })),
    effects: sets.flatMap((set) => effectsOf(set, rows)),
    settings,
  }
}

interface TransferSet {
  readonly name: string
  readonly seen: readonly number[]
  readonly unseen: readonly number[]
}

interface TransferJobResult {
  readonly rows: readonly TransferRow[]
}

function transferSets({ data, omit, only }: MnistTransferOptions): TransferSet[] {
  const caller = 'hinton2015MnistTransfer'
  const all = Array.from({ length: data.train.classes ?? 10 }, (_, digit) => digit)
  const set = (name: 'omit' | 'only', digits: readonly number[]): TransferSet => {
    const sorted = [...new Set(digits)].sort((a, b) => a - b)
    const rest = all.filter((digit) => !sorted.includes(digit))
    if (sorted.length === 0 || rest.length === 0 || !sorted.every((digit) => all.includes(digit)))
      throw new ArgumentError(caller, name, `some of the digits ${all.join(', ')}, not all`, digits)
    const [seen, unseen] = name === 'only' ? [sorted, rest] : [rest, sorted]
    return { name: `${name} ${sorted.join()}`, seen, unseen }
  }
  const sets = [...(omit ? [set('omit', omit)] : []), ...(only ? [set('only', only)] : [])]
  if (sets.length === 0) throw new ArgumentError(caller, 'omit', 'digits to leave out, or `only` digits to keep', omit)
  return sets
}

function nameOf({ name }: TransferSet, seed: number): string {
  return `${name.replaceAll(/[ ,]/g, '-')}-${seed}`
}

/** Train the student, then count its errors with each choice of bias. */
function transferJob(shop: Workshop, set: TransferSet, seed: number): Job {
  const { settings, data } = shop
  const job = studentJob(shop, nameOf(set, seed), {
    seed,
    rate: settings.rates[0]!,
    epochs: settings.epochs,
    soft: { temperature: settings.temperature, hardWeight: 0, teacher: `teacher-${seed}` },
    transfer: set.seen,
  })
  return {
    ...job,
    async *run(context) {
      const training = yield* job.run(context)
      const predict = await predictor(context.folder.inside('model.onnx'), { threads: shop.threads })
      try {
        const isRaised = Array.from({ length: data.train.classes ?? 10 }, (_, digit) => set.unseen.includes(digit))
        const test = await predictRows(predict, data.test, context.signal)
        const train = await predictRows(predict, data.train, context.signal)
        const onTest = biasRows(test.logits, isRaised)
        const labels = labelsOf(data.train)
        const prior = labels.filter((label) => set.unseen.includes(label)).length / labels.length
        const shifts = {
          'as learned': 0,
          'best on the test set': bestShift(onTest, test.labels),
          'by the prior': shiftToPrior(biasRows(train.logits, isRaised), prior),
        }
        const rows = Object.entries(shifts).map(([bias, shift]) => ({
          transfer: set.name,
          seed,
          bias,
          shift,
          ...counted(onTest, test.labels, shift, set.unseen),
        }))
        return { ...training, rows } satisfies JsonObject
      } finally {
        await predict.dispose()
      }
    },
  }
}

function counted(
  rows: BiasRows,
  labels: Int32Array,
  shift: number,
  unseen: readonly number[],
): Pick<TransferRow, 'errors' | 'rows' | 'unseenErrors' | 'unseenRows'> {
  const isUnseen = (label: number): boolean => unseen.includes(label)
  return {
    errors: errorsAt(rows, labels, shift),
    rows: labels.length,
    unseenErrors: errorsAt(rows, labels, shift, isUnseen),
    unseenRows: labels.filter(isUnseen).length,
  }
}

function effectsOf({ name, unseen }: TransferSet, rows: readonly TransferRow[]): Effect[] {
  const of = (bias: TransferRow['bias']): TransferRow[] =>
    rows.filter((row) => row.transfer === name && row.bias === bias)
  const mean = (list: readonly TransferRow[], key: 'errors' | 'unseenErrors'): number =>
    list.reduce((sum, row) => sum + row[key], 0) / list.length
  const [before, best, prior] = [of('as learned'), of('best on the test set'), of('by the prior')]
  const right = 1 - mean(best, 'unseenErrors') / best[0]!.unseenRows
  const found = (key: 'errors' | 'unseenErrors', after: readonly TransferRow[]): string =>
    `${mean(before, key).toFixed(0)} before, ${mean(after, key).toFixed(0)} after`
  return [
    {
      name: `${name}: the bias that is best on the test set at least halves the errors on digits never seen`,
      holds: mean(best, 'unseenErrors') <= 0.5 * mean(before, 'unseenErrors'),
      found: found('unseenErrors', best),
    },
    {
      name: `${name}: the bias that matches the prior, which reads no labels, makes fewer errors than the learned one`,
      holds: mean(prior, 'errors') < mean(before, 'errors'),
      found: found('errors', prior),
    },
    {
      name: `${name}: most test images of digits never seen (${unseen.join(', ')}) are recognised`,
      holds: right > 0.5,
      found: `${(100 * right).toFixed(1)} %`,
    },
  ]
}
