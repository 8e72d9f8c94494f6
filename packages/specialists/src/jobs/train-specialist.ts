import type { Batches } from '@imago/data'
import type { Loss } from '@imago/losses'
import { decode, encode, type Model } from '@imago/onnx'
import type { Optimizer } from '@imago/optim'
import { type InputMap, openStudent, type Student } from '@imago/runtime'
import { ArgumentError, type Rng, StateError, type Targets } from '@imago/tensor'
import {
  distill,
  type EpochReport,
  evaluate,
  type JsonObject,
  type Outcome,
  type Report,
  type RunFolder,
  train,
} from '@imago/trainer'
import { correctDustbin } from '../heads/correct-dustbin.js'

export interface TrainSpecialistOptions {
  /** As `specialistModel` or `fullSpecialistModel` made it. */
  readonly model: Model
  /** `halfHalf` rows, with the labels that the head asks for. */
  readonly data: Batches
  /** Rows that are not learnt from, of the same shares: the epoch with the fewest errors on them, the first of equals, is the one that is kept. */
  readonly heldOut: Batches
  readonly loss: Loss
  /** What teaches beside labels (section 6.1: the generalist); absent: labels alone. */
  readonly targets?: Targets | undefined
  readonly optimizer: (student: Student) => Optimizer
  readonly epochs: number
  /** Stop after so many epochs without fewer errors; all epochs unless given. */
  readonly patience?: number | undefined
  /** Added to the dustbin's logit in the end: `dustbinOffset`. */
  readonly offset: number
  /** Where dropout masks come from. Never moved. */
  readonly rng: Rng
  /** The specialist's own folder, held by this process. */
  readonly folder: RunFolder
  readonly threads?: number | undefined
  /** How data become the model's inputs. */
  readonly map?: InputMap | undefined
  readonly signal?: AbortSignal | undefined
  readonly clock?: (() => number) | undefined
}

/** What a specialist's training comes to. */
export interface TrainedSpecialist extends JsonObject {
  /** On the rows held out, before the dustbin is corrected. */
  readonly best: SpecialistEpoch
  readonly epochs: number
  /** True where it ended before the last epoch. */
  readonly stopped: boolean
  readonly offset: number
  readonly curve: readonly SpecialistEpoch[]
}

export interface SpecialistEpoch extends JsonObject {
  readonly epoch: number
  readonly loss: number
  readonly errors: number
  readonly rows: number
  readonly crossEntropy: number
}

/**
 * Train one specialist in a folder of its own, with early stopping; it goes on from the folder's checkpoint. Leaves `specialist.onnx`, the best
 * epoch's weights with the dustbin corrected, `best.onnx`, the same before that, and `metrics.jsonl`.
 *
 * @throws ArgumentError, and what training throws; the signal's reason, after a checkpoint
 */
export async function* trainSpecialist(options: TrainSpecialistOptions): AsyncGenerator<Report, TrainedSpecialist> {
  const { model, data, heldOut, loss, targets, epochs, patience, offset, rng, folder, signal, clock } = options
  if (patience !== undefined && !(Number.isSafeInteger(patience) && patience >= 1))
    throw new ArgumentError('trainSpecialist', 'patience', 'a whole number ≥ 1', patience)
  const { threads, map } = options
  const student = await openStudent(model, { ...(threads && { threads }), ...(map && { map }) })
  let curve: SpecialistEpoch[] = []
  try {
    const fit = {
      student,
      data,
      loss,
      optimizer: options.optimizer(student),
      epochs,
      rng,
      checkpoint: { store: folder.checkpoints },
      evaluate: (predict: Parameters<typeof evaluate>[0]['predict'], abort?: AbortSignal) =>
        evaluate({ predict, data: heldOut, ...(abort && { signal: abort }) }),
      ...(signal && { signal }),
      ...(clock && { clock }),
    }
    const reports: AsyncGenerator<Report, Outcome> = targets ? distill({ ...fit, targets }) : train(fit)
    // Leaving the loop ends the training behind it too.
    for await (const report of reports) {
      if (report.kind === 'resume') {
        await folder.metrics.rewind(report.step)
        curve = report.history.map(pointOf)
      }
      if (report.kind === 'epoch') {
        await folder.metrics.append(JSON.parse(JSON.stringify(report)) as JsonObject)
        curve.push(pointOf(report))
        // Written before the checkpoint that follows the report: whoever resumes after it finds the best epoch's file.
        if (bestOf(curve) === curve.at(-1)) await folder.write('best.onnx', encode(student.save(student.parameters)))
      }
      yield report
      if (patience !== undefined && report.kind !== 'step' && isOver(curve, patience)) break
    }
    const best = await readBest(folder)
    await folder.write('specialist.onnx', encode(correctDustbin(best, offset, folder.path)))
    return { best: bestOf(curve), epochs: curve.length, stopped: curve.length < epochs, offset, curve }
  } finally {
    await student.dispose()
  }
}

async function readBest(folder: RunFolder): Promise<Model> {
  const bytes = await folder.read('best.onnx')
  if (bytes === undefined)
    throw new StateError(
      `${folder.path} has a checkpoint and no best.onnx`,
      'Delete the folder to train this specialist again',
    )
  return decode(bytes, { name: `${folder.path}/best.onnx` })
}

function bestOf(curve: readonly SpecialistEpoch[]): SpecialistEpoch {
  return curve.reduce((best, one) => (one.errors < best.errors ? one : best))
}

function isOver(curve: readonly SpecialistEpoch[], patience: number): boolean {
  return curve.length > 0 && curve.at(-1)!.epoch - bestOf(curve).epoch >= patience
}

function pointOf({ epoch, loss, evaluation }: EpochReport): SpecialistEpoch {
  const { errors, rows, crossEntropy } = evaluation!
  return { epoch, loss, errors, rows, crossEntropy }
}
