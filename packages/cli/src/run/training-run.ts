import { join } from 'node:path'
import { type Batches, formatEncoder, formatSchema } from '@imago/data'
import { encode, incomingAxes } from '@imago/onnx'
import { type InputMap, openStudent, type Predictor, type Student } from '@imago/runtime'
import { type Predict, rng } from '@imago/tensor'
import {
  agreement,
  claimRunFolder,
  type EpochReport,
  type Evaluation,
  evaluate,
  type FitOptions,
  type JsonObject,
  type Outcome,
  predictStudent,
  type Report,
} from '@imago/trainer'
import type { Context } from '../context.js'
import type { TrainingOptions } from '../options.js'
import { page } from '../report/page.js'
import { table } from '../terminal/table.js'
import { checkLabels } from './check-labels.js'
import { follow } from './follow.js'
import { trainedProperties, withProperties } from './model-properties.js'
import { openData } from './open-data.js'
import { digestOf, studentModel } from './student-model.js'
import { batchesOf, evaluationBatches, heldUnits, optimizerOf } from './training.js'

/** What `train` and `distill` do differently. */
export interface Method {
  readonly command: string
  /** What makes this run another one, beyond the shared options. */
  readonly config: JsonObject
  readonly teacher?: Predictor
  /** SHA-256 of the teachers, for the student's properties. */
  readonly taughtBy?: readonly string[]
  /** Tensors of the student that the loss reads beside its logits. */
  readonly hidden?: readonly string[]
  /** Refuse what cannot work, before the run folder is touched. */
  readonly check?: (student: Student, training: Batches) => Promise<void>
  readonly fit: (
    pieces: Omit<FitOptions, 'loss' | 'student'> & { readonly student: Student },
  ) => AsyncGenerator<Report, Outcome>
}

/** What a run comes to; printed as JSON or as a table. Errors are counted where test rows have labels. */
interface Result {
  readonly student?: { readonly errors: number; readonly rows: number; readonly errorRate: number }
  readonly teacher?: { readonly errors: number; readonly rows: number; readonly errorRate: number }
  readonly agreement?: number
  readonly parameters: number
  readonly files: { readonly [what: string]: string }
}

/**
 * Train a student into a run folder: checkpoints while it runs, then student.onnx, metrics.jsonl and report.html. Everything
 * that can be refused is refused before the folder is touched; the same command goes on where it was stopped.
 */
export async function trainingRun(context: Context, options: TrainingOptions, method: Method): Promise<undefined> {
  const random = rng(options.seed)
  const data = await openData(context, options)
  const model = await studentModel(options, random.split('weights'))
  const { training, validation } = batchesOf(data.train, options, random)
  const test = evaluationBatches(data.test)
  const labelled = data.test.classes !== undefined
  const student = await openStudent(model, {
    threads: options.threads,
    ...(options.studentInput && { map: options.studentInput as InputMap }),
    ...(options.freeze !== undefined && { freeze: new RegExp(options.freeze) }),
    ...(options.batchNorm && { batchNorm: options.batchNorm }),
    ...(method.hidden && { also: method.hidden }),
  })
  try {
    const optimizer = optimizerOf(options, heldUnits(incomingAxes(model.graph), student.parameters))
    for (const note of [
      ...(method.teacher?.notes.map((text) => `teacher: ${text}`) ?? []),
      ...student.notes.map((text) => `student: ${text}`),
    ])
      context.note(note)
    await checkLabels(data.train, student, options.data)
    await checkLabels(data.test, student, options.data)
    await method.check?.(student, training)
    const config = { ...runConfig(options), ...method.config, student: digestOf(model) }
    const folder = await claimRunFolder(options.out, config)
    try {
      const outcome = await follow(
        method.fit({
          student,
          data: training,
          optimizer,
          epochs: options.epochs,
          rng: random.split('fit'),
          signal: context.signal,
          clock: context.now,
          checkpoint: { store: folder.checkpoints, everyEpochs: options.checkpointEvery, config },
          ...(validation && {
            evaluate: (predict: Predict, signal?: AbortSignal) =>
              evaluate({ predict, data: validation, ...(signal && { signal }) }),
          }),
        }),
        folder,
        context,
        method.command,
      )
      const predict = predictStudent(student)
      const { signal } = context
      const onTest = labelled && (await evaluate({ predict, data: test, signal }))
      const teacherOnTest =
        labelled && method.teacher && (await evaluate({ predict: method.teacher, data: test, signal }))
      const agree = method.teacher && (await agreement(predict, method.teacher, test, signal))
      const counted = {
        ...(onTest && { student: counts(onTest) }),
        ...(teacherOnTest && { teacher: counts(teacherOnTest) }),
        ...(agree && { agreement: agree.agreement }),
      }
      const trained = withProperties(
        student.save(student.parameters),
        trainedProperties({
          config,
          metrics: counted,
          ...(method.taughtBy && { teachers: method.taughtBy }),
          ...(options.license !== undefined && { license: options.license }),
        }),
      )
      const files = {
        student: await folder.write('student.onnx', encode(trained)),
        ...(data.encoder && { encoder: await folder.write('encoder.json', formatEncoder(data.encoder)) }),
        ...(data.schema && { schema: await folder.write('schema.json', formatSchema(data.schema)) }),
        metrics: folder.metrics.path,
        report: join(folder.path, 'report.html'),
      }
      const result: Result = {
        ...counted,
        parameters: Object.values(student.differentiable.parameters).reduce(
          (sum, dims) => sum + dims.reduce((a, b) => a * b, 1),
          0,
        ),
        files,
      }
      await folder.write('report.html', reportOf(method.command, config, result, outcome.history))
      await folder.write('result.json', `${JSON.stringify(result, null, 2)}\n`)
      if (options.json) context.out(JSON.stringify(result, null, 2))
      else context.out(`${table(rowsOf(result))}\n\nstudent ${files.student}\nreport  ${files.report}`)
    } finally {
      await folder.release()
    }
  } finally {
    await student.differentiable.dispose()
  }
}

/** Where a run goes, how it is shown, and in which process its teacher runs: no part of its identity. */
const circumstances = new Set(['out', 'json', 'quiet', 'dataDir', 'student', 'license', 'isolate', 'config'])

/** The options that decide what comes out. */
function runConfig(options: TrainingOptions): JsonObject {
  const rest = Object.fromEntries(Object.entries(options).filter(([name]) => !circumstances.has(name)))
  return JSON.parse(JSON.stringify(rest)) as JsonObject
}

type Counts = NonNullable<Result['student']>

function counts({ errors, rows, errorRate }: Evaluation): Counts {
  return { errors, rows, errorRate }
}

function rowsOf(result: Result): string[][] {
  const row = (name: string, { errors, rows, errorRate }: Counts): string[] => [
    name,
    String(errors),
    String(rows),
    `${(100 * errorRate).toFixed(2)} %`,
  ]
  if (!result.student && result.agreement === undefined)
    return [
      ['', ''],
      ['test', 'nothing to count: the rows have no labels, and there is no teacher'],
    ]
  const agreement = result.agreement === undefined ? undefined : `${(100 * result.agreement).toFixed(2)} %`
  if (!result.student)
    return [
      ['', 'of the test rows'],
      ['agreement with the teacher', agreement ?? '–'],
    ]
  return [
    ['', 'test errors', 'of', 'error rate'],
    ...(result.teacher ? [row('teacher', result.teacher)] : []),
    row('student', result.student),
    ...(agreement === undefined ? [] : [['agreement', '', '', agreement]]),
  ]
}

function reportOf(command: string, config: JsonObject, result: Result, history: readonly EpochReport[]): string {
  const points = (read: (report: EpochReport) => number | undefined): [number, number][] =>
    history.flatMap((report) => {
      const value = read(report)
      return value === undefined ? [] : [[report.epoch, value] as [number, number]]
    })
  const validation = points(({ evaluation }) => evaluation && 100 * evaluation.errorRate)
  return page({
    title: `imago ${command}`,
    summary: [
      ...(result.student
        ? [`The student makes ${result.student.errors} errors on ${result.student.rows} test rows.`]
        : []),
      ...(result.agreement === undefined
        ? []
        : [`It agrees with its teacher on ${(100 * result.agreement).toFixed(2)} % of the test rows.`]),
    ],
    tables: [{ title: 'Test', rows: rowsOf(result) }],
    charts: [
      { title: 'Loss', x: 'epoch', y: 'training loss', series: [{ name: 'loss', points: points(({ loss }) => loss) }] },
      ...(validation.length > 0
        ? [{ title: 'Validation', x: 'epoch', y: 'errors, %', series: [{ name: 'validation', points: validation }] }]
        : []),
    ],
    facts: Object.fromEntries(
      Object.entries(config).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
    ),
  })
}
