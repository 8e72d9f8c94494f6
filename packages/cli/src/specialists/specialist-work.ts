import { join } from 'node:path'
import { type Batches, split } from '@imago/data'
import { hardLabel } from '@imago/losses'
import { incomingAxes, readModel } from '@imago/onnx'
import { type InputMap, predictor } from '@imago/runtime'
import {
  dustbinLabels,
  dustbinOffset,
  halfHalf,
  labelsOf,
  specialHardLoss,
  specialistFile,
  type TrainedSpecialist,
  trainSpecialist,
} from '@imago/specialists'
import { ArgumentError, FormatError, fromPredict, rng } from '@imago/tensor'
import { claimRunFolder, type JsonObject, type Report } from '@imago/trainer'
import type { DataOptions, TrainingOptions } from '../options.js'
import { openData } from '../run/open-data.js'
import { digestOf } from '../run/student-model.js'
import { heldUnits, optimizerOf } from '../run/training.js'
import { initialFile, readPlan } from './plan-file.js'

/** How specialists are trained. */
export interface SpecialistTraining
  extends DataOptions,
    Pick<
      TrainingOptions,
      | 'epochs'
      | 'batch'
      | 'optimizer'
      | 'rate'
      | 'schedule'
      | 'momentum'
      | 'weightDecay'
      | 'maxSquaredNorm'
      | 'clip'
      | 'seed'
      | 'validation'
      | 'threads'
    > {
  readonly patience?: number
}

/** The training of one specialist, as a process of its own can be told it. */
export interface SpecialistTask {
  readonly plan: string
  readonly generalist: string
  /** The name of its set. */
  readonly set: string
  readonly training: SpecialistTraining
  /** Of the environment what finds data. */
  readonly env: { readonly [name: string]: string }
}

/** Whether a specialist is trained, and what came of it. */
export const resultFile = 'result.json'

/**
 * Train one specialist of a plan in its folder there, named as its set; where that was done before, what came of it is read.
 *
 * @throws what `trainSpecialist` does; StateError where the folder is of another training
 */
export async function* specialistWork(
  task: SpecialistTask,
  signal: AbortSignal,
): AsyncGenerator<Report, TrainedSpecialist> {
  const { training, env } = task
  const generalist = await readModel(task.generalist)
  const digest = digestOf(generalist)
  const { sets, classes, head, input, output } = await readPlan(task.plan, digest)
  const set = sets.find(({ name }) => name === task.set)
  if (set === undefined)
    throw new ArgumentError('imago', '--only', `one of ${sets.map(({ name }) => name).join(', ')}`, task.set)
  const { dataDir: _, threads, ...identity } = training
  const config = { ...identity, command: 'specialists train', generalist: digest, head, set: [...set.classes] }
  const folder = await claimRunFolder(
    join(task.plan, set.name),
    JSON.parse(JSON.stringify({ ...config, config: undefined })) as JsonObject,
  )
  try {
    const before = await folder.read(resultFile)
    if (before) return parsed(before, join(folder.path, resultFile))
    const initial = join(task.plan, initialFile(set))
    const model = await readModel(initial)
    specialistFile(model, initial, set)
    const random = rng(training.seed).split(set.name)
    const { train } = await openData({ env, note: () => undefined, signal }, training)
    // The rows held out are the same for all specialists.
    const parts = split(train, { validation: training.validation, rng: rng(training.seed).split('validation') })
    const map = head === 'dustbin' ? { map: dustbinLabels(set, classes) } : {}
    const half = { set, classes, ...map }
    const data = halfHalf({
      ...half,
      source: parts.train,
      labels: labelsOf(parts.train),
      size: training.batch,
      rng: random.split('batches'),
    })
    const heldOut = halfHalf({ ...half, source: parts.validation, size: 500, rng: random.split('held out') })
    const teacher =
      head === 'full'
        ? await predictor(generalist, {
            threads,
            ...(input && { map: input as InputMap }),
            ...(output !== undefined && { output }),
          })
        : undefined
    try {
      const result = yield* trainSpecialist({
        model,
        data,
        heldOut: sameEachEpoch(heldOut),
        ...(teacher
          ? { loss: specialHardLoss({ set, classes }), targets: fromPredict(teacher) }
          : { loss: hardLabel() }),
        optimizer: (student) => optimizerOf(training, heldUnits(incomingAxes(model.graph), student.parameters)),
        epochs: training.epochs,
        patience: training.patience,
        offset: dustbinOffset(data),
        rng: random.split('fit'),
        folder,
        threads,
        ...(input && { map: input as InputMap }),
        signal,
      })
      await folder.write(resultFile, `${JSON.stringify(result, null, 2)}\n`)
      return result
    } finally {
      await teacher?.dispose()
    }
  } finally {
    await folder.release()
  }
}

/** Rows to count on: those of the first epoch, every time. */
function sameEachEpoch(batches: Batches): Batches {
  return { ...batches, epoch: (_, from) => batches.epoch(0, from) }
}

function parsed(bytes: Uint8Array, where: string): TrainedSpecialist {
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as TrainedSpecialist
    if (typeof value?.best?.errors === 'number') return value
  } catch {
    // Said below.
  }
  throw new FormatError(where, 'is no result of a training; delete it to train this specialist again')
}
