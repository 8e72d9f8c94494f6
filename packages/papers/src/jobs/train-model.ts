import { type Batches, batches, type Dataset } from '@imago/data'
import type { Loss } from '@imago/losses'
import { encode, type Model } from '@imago/onnx'
import type { Optimizer } from '@imago/optim'
import { openStudent, predictor } from '@imago/runtime'
import { fromPredict, type Rng } from '@imago/tensor'
import { distill, evaluate, type JsonObject, type Outcome, type Report, train } from '@imago/trainer'
import type { JobContext } from './job.js'

/** One model to be trained in a job's folder. */
export interface Training {
  readonly model: Model
  readonly data: Batches
  /** Counted on after epochs; never chosen by. */
  readonly test: Dataset
  readonly loss: Loss
  readonly optimizer: Optimizer
  readonly epochs: number
  /** Where dropout masks come from. */
  readonly rng: Rng
  /** The path of the teacher; absent: labels. */
  readonly teacher?: string
  readonly evaluateEvery?: number
  readonly threads?: number
}

/** What a training job leaves behind; `model.onnx` lies beside it. */
export interface TrainingResult extends JsonObject {
  /** Errors on the test rows at the last epoch. */
  readonly errors: number
  readonly rows: number
  readonly crossEntropy: number
  readonly epochs: number
  readonly curve: readonly { readonly epoch: number; readonly loss: number; readonly errors?: number }[]
}

/** Train it, resuming where the folder holds a checkpoint; write `model.onnx` and `metrics.jsonl`. */
export async function* trainModel(training: Training, context: JobContext): AsyncGenerator<Report, TrainingResult> {
  const { model, data, loss, optimizer, epochs, rng, teacher, threads } = training
  const { folder, signal, clock } = context
  const test = batches(training.test, { size: 500, shuffle: false })
  const student = await openStudent(model, { threads })
  const master = teacher === undefined ? undefined : await predictor(teacher, { threads })
  try {
    const options = {
      student,
      data,
      loss,
      optimizer,
      epochs,
      rng,
      checkpoint: { store: folder.checkpoints },
      evaluate: (predict: Parameters<typeof evaluate>[0]['predict'], abort?: AbortSignal) =>
        evaluate({ predict, data: test, ...(abort && { signal: abort }) }),
      evaluateEvery: training.evaluateEvery ?? Math.max(1, Math.floor(epochs / 10)),
      ...(signal && { signal }),
      ...(clock && { clock }),
    }
    const reports = master ? distill({ ...options, targets: fromPredict(master) }) : train(options)
    const { history } = yield* recorded(reports, context)
    await folder.write('model.onnx', encode(student.save(student.parameters)))
    const last = history.at(-1)!
    return {
      errors: last.evaluation!.errors,
      rows: last.evaluation!.rows,
      crossEntropy: last.evaluation!.crossEntropy,
      epochs,
      curve: history.map(({ epoch, loss: value, evaluation }) => ({
        epoch,
        loss: value,
        ...(evaluation && { errors: evaluation.errors }),
      })),
    }
  } finally {
    await student.dispose()
    await master?.dispose()
  }
}

/** Pass reports on; each epoch's goes into `metrics.jsonl` first. */
export async function* recorded(
  reports: AsyncGenerator<Report, Outcome>,
  { folder }: Pick<JobContext, 'folder'>,
  task?: string,
): AsyncGenerator<Report, Outcome> {
  try {
    for (;;) {
      const { value, done } = await reports.next()
      if (done) return value
      if (value.kind === 'resume') await folder.metrics.rewind(value.step, task)
      if (value.kind === 'epoch') await folder.metrics.append(rowOf(value, task))
      yield value
    }
  } finally {
    // Who stops early ends the training behind this too.
    await reports.return({ steps: 0, history: [] })
  }
}

function rowOf(report: Extract<Report, { kind: 'epoch' }>, task?: string): JsonObject {
  return JSON.parse(JSON.stringify({ ...(task !== undefined && { task }), ...report })) as JsonObject
}
