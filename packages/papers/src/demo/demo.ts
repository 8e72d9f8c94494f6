import { createHash } from 'node:crypto'
import { batches, type Dataset, jitterAugment, type TrainTest } from '@imago/data'
import { hardLabel, softTarget } from '@imago/losses'
import { encode, mlp } from '@imago/onnx'
import { adamw, cosine } from '@imago/optim'
import { openStudent, predictor } from '@imago/runtime'
import { elementCount, fromPredict, type Predict, rng, type TensorMap } from '@imago/tensor'
import {
  agreement,
  checkpointFolder,
  distill,
  evaluate,
  type Outcome,
  type Report,
  type RunFolder,
  train,
} from '@imago/trainer'
import type { RecipeEvent } from '../jobs/job.js'
import { recorded } from '../jobs/train-model.js'
import { latency } from './latency.js'
import { type DemoProtocol, demoProtocol } from './protocol.js'

export interface DemoOptions {
  /** Labelled images: rows [N, 784] as input `input`. `digits({ seed, train, test })` of @imago/data draws them. */
  readonly data: TrainTest
  /** Where it all goes; held by the caller. */
  readonly folder: RunFolder
  readonly seed?: number
  readonly protocol?: DemoProtocol
  readonly threads?: number
  readonly signal?: AbortSignal
  /** Milliseconds: for speed, and for the latency of a prediction. */
  readonly clock: () => number
}

export interface DemoRow {
  readonly name: 'teacher' | 'student on labels' | 'student distilled'
  /** Test errors at the last epoch. */
  readonly errors: number
  readonly rows: number
  readonly parameters: number
  /** Size of the .onnx file. */
  readonly bytes: number
  /** Median milliseconds of a prediction for one image. */
  readonly latency: number
  /** Share of the test images on which it says what the teacher says. */
  readonly agreement: number
  /** Its name in the run folder. */
  readonly file: string
}

export interface DemoResult {
  readonly seed: number
  readonly rows: readonly DemoRow[]
  /** Errors of the student on labels / errors of the teacher. */
  readonly ratio: number
  /** (errors on labels − errors distilled) / (errors on labels − errors of the teacher). */
  readonly gapClosed: number
  readonly curves: { readonly [name: string]: readonly { epoch: number; loss: number; errors?: number }[] }
  readonly protocol: DemoProtocol
  /** SHA-256 of the first training image, 16 hex digits: tells results of another drawing of the digits apart. */
  readonly data: string
}

/**
 * The main job in small: train a teacher, train a small student on labels, distil the same student from the teacher, and compare
 * the three as files that ONNX Runtime runs. An async generator of events that returns the table. Writes `teacher.onnx`,
 * `student-on-labels.onnx`, `student.onnx` and `metrics.jsonl`; goes on where it was stopped.
 */
export async function* demo(options: DemoOptions): AsyncGenerator<RecipeEvent, DemoResult> {
  const { data, folder, seed = 1, protocol = demoProtocol } = options
  const { teacher, student, temperature, hardWeight } = protocol
  const random = rng(seed)
  const inputs = elementCount(data.train.rows(Uint32Array.of(0)).inputs.input!.dims)
  const classes = data.train.classes!
  // The twin and the distilled student share everything that is drawn: weights and the order of images.
  const small = { ...student, dropout: {}, sizes: [inputs, ...student.hidden, classes], rng: random.split('student') }
  const large = { ...teacher, sizes: [inputs, ...teacher.hidden, classes], rng: random.split('teacher') }

  const first = yield* model('teacher', 0, 'teacher.onnx', large)
  const second = yield* model('student on labels', 1, 'student-on-labels.onnx', small)
  const master = await predictor(folder.inside(first.file), { threads: options.threads })
  try {
    const third = yield* model('student distilled', 2, 'student.onnx', small, master)
    const rows: DemoRow[] = []
    for (const one of [first, second, third]) rows.push(await measured(one, options, master))
    const [a, b, c] = [first.errors, second.errors, third.errors]
    return {
      seed,
      rows,
      ratio: b / a,
      gapClosed: (b - c) / (b - a),
      curves: Object.fromEntries([first, second, third].map(({ name, curve }) => [name, curve])),
      protocol,
      data: fingerprint(data),
    }
  } finally {
    await master.dispose()
  }

  async function* model(
    name: DemoRow['name'],
    done: number,
    file: string,
    plan: typeof small | typeof large,
    master?: Predict,
  ): AsyncGenerator<RecipeEvent, Trained> {
    yield { kind: 'job', job: name, state: 'begins', done, of: 3 }
    const { sizes, dropout, jitter, epochs, rate } = plan
    const open = await openStudent(mlp(sizes, { rng: plan.rng, dropout }), { threads: options.threads })
    try {
      const common = {
        student: open,
        data: batches(data.train, {
          size: protocol.batch,
          rng: plan.rng.split('batches'),
          ...(jitter > 0 && { augment: jitterAugment(jitter) }),
        }),
        optimizer: adamw({ rate: cosine({ peak: rate }) }),
        epochs,
        rng: plan.rng.split('masks'),
        evaluate: (predict: Predict, signal?: AbortSignal) =>
          evaluate({ predict, data: inOrder(data.test), ...(signal && { signal }) }),
        evaluateEvery: Math.max(1, Math.floor(epochs / 10)),
        clock: options.clock,
        checkpoint: {
          store: checkpointFolder(folder.inside(`${name.replaceAll(' ', '-')}.checkpoints`)),
          // A checkpoint takes about as long as a small epoch.
          everyEpochs: Math.max(1, Math.floor(epochs / 5)),
          config: JSON.parse(JSON.stringify({ seed, protocol })),
        },
        ...(options.signal && { signal: options.signal }),
      }
      const reports = master
        ? distill({ ...common, targets: fromPredict(master), loss: softTarget({ temperature, hardWeight }) })
        : train({ ...common, loss: hardLabel() })
      const { history } = yield* events(name, recorded(reports, { folder }, name))
      const bytes = encode(open.save(open.parameters))
      await folder.write(file, bytes)
      yield { kind: 'job', job: name, state: 'done', done: done + 1, of: 3 }
      const { errors, rows } = history.at(-1)!.evaluation!
      const curve = history.map(({ epoch, loss, evaluation }) => ({
        epoch,
        loss,
        ...(evaluation && { errors: evaluation.errors }),
      }))
      return { name, file, bytes: bytes.length, parameters: count(open.parameters), errors, rows, curve }
    } finally {
      await open.dispose()
    }
  }
}

type Trained = Omit<DemoRow, 'latency' | 'agreement'> & {
  readonly curve: readonly { epoch: number; loss: number; errors?: number }[]
}

/** What only the file can tell. */
async function measured({ curve: _, ...model }: Trained, options: DemoOptions, master: Predict): Promise<DemoRow> {
  const { data, folder, clock, signal, threads } = options
  const path = folder.inside(model.file)
  const own = await predictor(path, { threads })
  try {
    const same = await agreement(own, master, inOrder(data.test), signal)
    const ms = await latency(path, data.test, clock, signal ? { signal } : {})
    return { ...model, agreement: same.agreement, latency: ms }
  } finally {
    await own.dispose()
  }
}

async function* events(job: string, reports: AsyncGenerator<Report, Outcome>): AsyncGenerator<RecipeEvent, Outcome> {
  for (;;) {
    const { value, done } = await reports.next()
    if (done) return value
    yield { kind: 'report', job, report: value }
  }
}

/** What `DemoResult.data` holds. */
export function fingerprint({ train }: TrainTest): string {
  const { data } = train.rows(Uint32Array.of(0)).inputs.input!
  const bytes = new Uint8Array((data as Float32Array).slice().buffer)
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16)
}

function inOrder(rows: Dataset): ReturnType<typeof batches> {
  return batches(rows, { size: 500, shuffle: false })
}

function count(parameters: TensorMap): number {
  return Object.values(parameters).reduce((sum, { dims }) => sum + elementCount(dims), 0)
}
