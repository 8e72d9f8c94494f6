import { type Batches, batches, type Dataset } from '@imago/data'
import type { Loss } from '@imago/losses'
import { encode, type Model } from '@imago/onnx'
import type { Optimizer } from '@imago/optim'
import { openStudent } from '@imago/runtime'
import type { Rng, Targets } from '@imago/tensor'
import {
  distill,
  type EpochReport,
  evaluate,
  type FitOptions,
  type JsonObject,
  type Report,
  train,
} from '@imago/trainer'
import type { JobContext } from './job.js'
import { recorded } from './train-model.js'

/** One model to be trained in a job's folder, and stopped where it does best on held-out rows. */
export interface BestTraining {
  readonly model: Model
  readonly data: Batches
  /** What decides which epoch was the best: the fewest errors, the first of equals. Never the test rows. */
  readonly heldOut: Dataset
  readonly loss: Loss
  readonly optimizer: Optimizer
  readonly epochs: number
  /** Look at the held-out rows after every so many epochs; default 1. */
  readonly evaluateEvery?: number
  /** Where dropout masks come from. */
  readonly rng: Rng
  /** What teaches; absent: labels. */
  readonly targets?: Targets
  readonly threads?: number
}

/** What the training of `trainBest` comes to; `model.onnx` of the best epoch and `last.onnx` of the last one lie beside it. */
export interface BestResult extends JsonObject {
  readonly best: EpochErrors
  readonly last: EpochErrors
  readonly curve: readonly EpochErrors[]
}

/** Held-out errors after an epoch. */
export interface EpochErrors extends JsonObject {
  readonly epoch: number
  readonly loss: number
  readonly errors: number
  readonly rows: number
  readonly crossEntropy: number
}

/** Train with early stopping on held-out rows, resuming where the folder holds a checkpoint. */
export async function* trainBest(training: BestTraining, context: JobContext): AsyncGenerator<Report, BestResult> {
  const { model, loss, targets, threads } = training
  const { folder, signal, clock } = context
  const heldOut = batches(training.heldOut, { size: 500, shuffle: false })
  const student = await openStudent(model, { threads })
  const save = (name: string): Promise<string> => folder.write(name, encode(student.save(student.parameters)))
  let curve: EpochErrors[] = []
  try {
    const options: FitOptions = {
      student,
      data: training.data,
      loss,
      optimizer: training.optimizer,
      epochs: training.epochs,
      rng: training.rng,
      checkpoint: { store: folder.checkpoints },
      evaluate: (predict, abort) => evaluate({ predict, data: heldOut, ...(abort && { signal: abort }) }),
      evaluateEvery: training.evaluateEvery ?? 1,
      ...(signal && { signal }),
      ...(clock && { clock }),
    }
    const reports = recorded(targets ? distill({ ...options, targets }) : train(options), context)
    for await (const value of reports) {
      if (value.kind === 'resume') curve = value.history.flatMap(errorsOf)
      if (value.kind === 'epoch' && value.evaluation) {
        curve.push(...errorsOf(value))
        // Written before the checkpoint that follows the report: whoever resumes after it finds the best epoch's file.
        if (bestOf(curve) === curve.at(-1)) await save('model.onnx')
      }
      yield value
    }
    await save('last.onnx')
    return { best: bestOf(curve), last: curve.at(-1)!, curve }
  } finally {
    await student.dispose()
  }
}

function bestOf(curve: readonly EpochErrors[]): EpochErrors {
  return curve.reduce((best, one) => (one.errors < best.errors ? one : best))
}

/** Nothing for an epoch after which nobody looked. */
function errorsOf({ epoch, loss, evaluation }: EpochReport): EpochErrors[] {
  if (!evaluation) return []
  const { errors, rows, crossEntropy } = evaluation
  return [{ epoch, loss, errors, rows, crossEntropy }]
}
