import { basename, dirname } from 'node:path'
import {
  batches,
  type Dataset,
  encoderWidth,
  fitEncoder,
  munge,
  type NaiveBayesMixture,
  naiveBayesMixture,
  randomTable,
  sampleMixture,
  type Table,
  tableDataset,
  withoutColumns,
} from '@imago/data'
import { arithmetic, ensemble, selectEnsemble } from '@imago/ensembles'
import { hardLabel, type Loss, squaredErrorOnProbabilities } from '@imago/losses'
import { encode, type Model, mlp } from '@imago/onnx'
import { adamw, cosine } from '@imago/optim'
import { openStudent, type Predictor, predictor } from '@imago/runtime'
import { fromPredict, type Predict, type Rng, rng, StateError, tensor } from '@imago/tensor'
import { distill, type JsonObject, predictStudent, type Report, readRunFile, train } from '@imago/trainer'
import type { Job, JobContext } from '../jobs/job.js'
import { recorded } from '../jobs/train-model.js'
import { predictRows } from '../predict-rows.js'
import { library } from './library.js'
import { type Fit, fitOf } from './measure.js'
import { memberNet } from './nets.js'
import type { Settings } from './options.js'
import { type Problem, positive } from './problems.js'

/** What makes the jobs of one problem. */
export interface Workshop {
  readonly problem: Problem
  readonly settings: Settings
  readonly sets: { readonly train: Dataset; readonly holdOut: Dataset; readonly test: Dataset }
  /** Rows of the problem's columns as inputs. */
  readonly asInputs: (rows: Table) => Dataset
  readonly width: number
  readonly threads: number | undefined
  /** Fitted to the training rows when it is first asked for. */
  readonly mixture: () => NaiveBayesMixture
}

/** Where synthetic rows come from. */
export const synthesizers = ['munge', 'random', 'nbe'] as const
export type Synthesizer = (typeof synthesizers)[number]

/** What is chosen for a mimic on the rows held out. */
export interface Making {
  /** The peak of its rate. */
  readonly rate: number
  /** MUNGE's p. */
  readonly probability?: number
}

/** What a net leaves behind. */
export interface NetResult extends JsonObject {
  readonly holdOut: Fit & JsonObject
  readonly test: Fit & JsonObject
  readonly parameters: number
  readonly bytes: number
}

/** What the selection leaves behind. */
export interface EnsembleResult extends JsonObject {
  readonly weights: readonly number[]
  /** Library nets in the order in which they were added, those that were kept. */
  readonly path: readonly number[]
  readonly holdOut: Fit & JsonObject
  readonly test: Fit & JsonObject
  /** The net that is best on the rows held out. */
  readonly best: number
  readonly parameters: number
  readonly bytes: number
}

export function workshop(problem: Problem, settings: Settings, threads: number | undefined): Workshop {
  const encoder = fitEncoder(problem.train, { label: positive })
  const asInputs = (rows: Table): Dataset => tableDataset(rows, encoder, { unseen: 'neutral' })
  const sets = {
    train: asInputs(problem.train),
    holdOut: asInputs(problem.holdOut),
    test: asInputs(problem.test),
  }
  let fitted: NaiveBayesMixture | undefined
  const mixture = (): NaiveBayesMixture =>
    (fitted ??= naiveBayesMixture(unlabelledRows(problem), {
      iterations: 40,
      rng: rng(settings.seed).split('mixture'),
    }))
  return { problem, settings, sets, asInputs, width: encoderWidth(encoder), threads, mixture }
}

export const jobNames = {
  member: ({ problem }: Workshop, i: number): string => `${problem.name}-net-${i}`,
  ensemble: ({ problem }: Workshop): string => `${problem.name}-ensemble`,
  labels: ({ problem }: Workshop, epochs: number): string => `${problem.name}-labels-${epochs}`,
  mimic: ({ problem }: Workshop, how: Synthesizer, points: number, { rate, probability }: Making): string =>
    `${problem.name}-${how}-${points}-r${rate}${probability === undefined ? '' : `-p${probability}`}`,
}

export function memberJobs(shop: Workshop): Job[] {
  const { settings, width, sets } = shop
  return library(settings.members, settings.memberEpochs).map((net, i) => ({
    name: jobNames.member(shop, i),
    config: { kind: 'member', ...common(shop), ...net, hidden: net.hidden.join() },
    run(context) {
      const random = rng(settings.seed).split(`member ${i}`)
      const model = memberNet(net, width, random)
      return trainNet(shop, { model, rows: sets.train, epochs: net.epochs, loss: hardLabel(), random }, context)
    },
  }))
}

/** The mimic's net, trained on the labels of the rows themselves. */
export function labelJobs(shop: Workshop): Job[] {
  const { settings, sets } = shop
  return settings.labelEpochs.map((epochs) => ({
    name: jobNames.labels(shop, epochs),
    config: { kind: 'labels', ...common(shop), hidden: settings.hidden, epochs },
    run(context) {
      const random = rng(settings.seed).split('mimic')
      return trainNet(
        shop,
        { model: mimicNet(shop, random), rows: sets.train, epochs, loss: hardLabel(), random },
        context,
      )
    },
  }))
}

/** Greedy selection from the library by RMSE on the rows held out. */
export function ensembleJob(shop: Workshop): Job {
  const { settings, sets } = shop
  const members = Array.from({ length: settings.members }, (_, i) => i)
  return {
    name: jobNames.ensemble(shop),
    needs: members.map((i) => jobNames.member(shop, i)),
    config: {
      kind: 'ensemble',
      ...common(shop),
      members: settings.members,
      rounds: settings.rounds,
      bags: settings.bags,
    },
    async *run(context) {
      const opened = await openMembers(shop, members, context)
      try {
        const given = []
        for (const one of opened) given.push(await predictRows(one, sets.holdOut, context.signal))
        const { labels } = given[0]!
        const { weights, path, alone } = selectEnsemble({
          predictions: given.map(({ logits, classes }) => ({
            logits: tensor('float32', [labels.length, classes], logits),
          })),
          labels,
          metric: 'rmse',
          rounds: settings.rounds,
          // §2.3 of Caruana et al. 2004, against overfitting the rows held out.
          bags: { count: settings.bags, fraction: 0.5, rng: rng(settings.seed).split('bags') },
        })
        const whole = ensemble(opened, arithmetic({ weights }))
        const used = members.filter((i) => weights[i]! > 0)
        const sizes = await Promise.all(used.map((i) => sizeOf(jobNames.member(shop, i), context)))
        const result: EnsembleResult = {
          weights,
          path: path.filter(({ kept }) => kept).map(({ member }) => member),
          holdOut: { ...fitOf(await predictRows(whole, sets.holdOut, context.signal)) },
          test: { ...fitOf(await predictRows(whole, sets.test, context.signal)) },
          best: alone.indexOf(Math.min(...alone)),
          parameters: sizes.reduce((sum, { parameters }) => sum + parameters, 0),
          bytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0),
        }
        return result
      } finally {
        for (const one of opened) await one.dispose()
      }
    },
  }
}

/** What mimics of one kind of rows may be made with. */
export function makings({ settings }: Workshop, how: Synthesizer): Making[] {
  const { mimicRates, probabilities } = settings
  if (how !== 'munge') return mimicRates.map((rate) => ({ rate }))
  return mimicRates.flatMap((rate) => probabilities.map((probability) => ({ rate, probability })))
}

/** A mimic of the fewest points for each of them, to choose by. */
export function trialJobs(shop: Workshop): Job[] {
  const [points] = shop.settings.points
  return synthesizers.flatMap((how) => makings(shop, how).map((making) => mimicJob(shop, how, points!, making)))
}

/** The making whose mimic has the lowest RMSE on the rows held out. */
export function chosenMaking(shop: Workshop, how: Synthesizer, results: ReadonlyMap<string, JsonObject>): Making {
  const [points] = shop.settings.points
  const rmse = (making: Making): number =>
    (results.get(jobNames.mimic(shop, how, points!, making)) as NetResult).holdOut.rmse
  return makings(shop, how).reduce((best, one) => (rmse(one) < rmse(best) ? one : best))
}

/** The mimic: the net of `labelJobs` on synthetic rows, which the ensemble labels. */
export function mimicJobs(shop: Workshop, chosen: (how: Synthesizer) => Making): Job[] {
  return synthesizers.flatMap((how) => shop.settings.points.map((points) => mimicJob(shop, how, points, chosen(how))))
}

function mimicJob(shop: Workshop, how: Synthesizer, points: number, making: Making): Job {
  const { settings } = shop
  const { steps, batch, localVariance } = settings
  const { rate, probability } = making
  const epochs = Math.max(1, Math.round((steps * batch) / points))
  return {
    name: jobNames.mimic(shop, how, points, making),
    needs: [jobNames.ensemble(shop)],
    config: {
      kind: 'mimic',
      ...common(shop),
      members: settings.members,
      hidden: settings.hidden,
      how,
      points,
      epochs,
      mimicRate: rate,
      ...(probability !== undefined && { probability, localVariance }),
    },
    async *run(context) {
      const random = rng(settings.seed).split('mimic')
      const rows = shop.asInputs(synthesize(shop, how, points, making))
      const { weights } = await resultOf<EnsembleResult>(jobNames.ensemble(shop), context)
      const used = weights.flatMap((weight, i) => (weight > 0 ? [i] : []))
      const opened = await openMembers(shop, used, context)
      try {
        const teacher = ensemble(opened, arithmetic({ weights: used.map((i) => weights[i]!) }))
        const loss = squaredErrorOnProbabilities()
        const model = mimicNet(shop, random)
        return yield* trainNet(shop, { model, rows, epochs, loss, random, teaching: { teacher, rate } }, context)
      } finally {
        for (const one of opened) await one.dispose()
      }
    },
  }
}

/** Rows like those of the training set, without labels, and none of its own. */
function synthesize(
  { problem, settings, mixture }: Workshop,
  how: Synthesizer,
  rows: number,
  { probability }: Making,
): Table {
  const source = unlabelledRows(problem)
  const random = rng(settings.seed).split(how)
  const { localVariance } = settings
  if (probability !== undefined) return munge(source, { rows, probability, localVariance, rng: random })
  if (how === 'random') return randomTable(source, { rows, rng: random })
  return sampleMixture(mixture(), source, { rows, rng: random })
}

function unlabelledRows({ train }: Problem): Table {
  return withoutColumns(train, [positive])
}

/** Same weights at the start for labels and for every set of synthetic rows. */
function mimicNet({ width, settings }: Workshop, random: Rng): Model {
  return mlp([width, settings.hidden, 2], { rng: random.split('weights') })
}

interface NetTraining {
  readonly model: Model
  readonly rows: Dataset
  readonly epochs: number
  readonly loss: Loss
  readonly random: Rng
  /** Of a mimic. */
  readonly teaching?: { readonly teacher: Predict; readonly rate: number }
}

async function* trainNet(
  { settings, sets, threads }: Workshop,
  { model, rows, epochs, loss, random, teaching }: NetTraining,
  context: JobContext,
): AsyncGenerator<Report, NetResult> {
  const { folder, signal, clock } = context
  const student = await openStudent(model, { threads })
  try {
    const options = {
      student,
      data: batches(rows, { size: settings.batch, rng: random.split('batches') }),
      loss,
      optimizer: adamw({ rate: cosine({ peak: teaching?.rate ?? settings.rate }) }),
      epochs,
      rng: random.split('masks'),
      checkpoint: { store: folder.checkpoints, everyEpochs: Math.max(1, Math.ceil(epochs / 4)) },
      ...(signal && { signal }),
      ...(clock && { clock }),
    }
    yield* recorded(
      teaching ? distill({ ...options, targets: fromPredict(teaching.teacher) }) : train(options),
      context,
    )
    const file = encode(student.save(student.parameters))
    await folder.write('model.onnx', file)
    const predict = predictStudent(student)
    return {
      holdOut: { ...fitOf(await predictRows(predict, sets.holdOut, signal)) },
      test: { ...fitOf(await predictRows(predict, sets.test, signal)) },
      parameters: Object.values(student.parameters).reduce((sum, { data }) => sum + data.length, 0),
      bytes: file.byteLength,
    }
  } finally {
    await student.dispose()
  }
}

/** Open library nets by number. */
export async function openMembers(
  shop: Workshop,
  which: readonly number[],
  { file }: Pick<JobContext, 'file'>,
): Promise<Predictor[]> {
  const opened: Predictor[] = []
  try {
    for (const i of which)
      opened.push(await predictor(file(jobNames.member(shop, i), 'model.onnx'), { threads: shop.threads }))
    return opened
  } catch (error) {
    for (const one of opened) await one.dispose()
    throw error
  }
}

async function sizeOf(job: string, context: JobContext): Promise<NetResult> {
  return resultOf<NetResult>(job, context)
}

/** The result of a job that is done. */
async function resultOf<T extends JsonObject>(job: string, { file }: JobContext): Promise<T> {
  const path = file(job, 'result.json')
  const bytes = await readRunFile(dirname(path), basename(path))
  if (bytes === undefined) throw new StateError(`${path} is gone`, 'Delete the folder of that job, and run again')
  return (JSON.parse(new TextDecoder().decode(bytes)) as { result: T }).result
}

/** What all jobs of a problem depend on. */
function common({ problem, settings }: Workshop): JsonObject {
  const { rows, batch, rate, seed } = settings
  return { problem: problem.name, rows: { ...rows }, batch, rate, seed }
}
