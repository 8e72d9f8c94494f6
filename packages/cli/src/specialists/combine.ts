import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { writeAtomic } from '@imago/data/files'
import { readModel } from '@imago/onnx'
import { specialistFile } from '@imago/specialists'
import { NotFoundError, StateError, type TensorMap } from '@imago/tensor'
import type { Context } from '../context.js'
import type { DataOptions } from '../options.js'
import { page } from '../report/page.js'
import { openData } from '../run/open-data.js'
import { digestOf } from '../run/student-model.js'
import { evaluationBatches } from '../run/training.js'
import { table } from '../terminal/table.js'
import { type Combined, type CombinedFile, openCombined } from './combined-file.js'
import { type Plan, readPlan } from './plan-file.js'

export interface CombineOptions extends DataOptions {
  readonly generalist: string
  readonly plan: string
  readonly topN: number
  readonly threads: number
  readonly json?: boolean
  readonly quiet?: boolean
}

/** Errors of the generalist alone and of the whole, on rows whose true class so many sets have (the paper's table 4). */
interface Cover {
  readonly covering: number
  readonly rows: number
  readonly generalist: number
  readonly combined: number
}

interface Result {
  readonly topN: number
  readonly specialists: readonly string[]
  /** Names of sets of the plan whose specialists are not trained; they are left out. */
  readonly missing: readonly string[]
  readonly rows: number
  readonly errors: { readonly generalist: number; readonly combined: number }
  readonly crossEntropy: { readonly generalist: number; readonly combined: number }
  readonly byCover: readonly Cover[]
  /** Mean number of specialists asked about a row. */
  readonly active: number
  /** Rows in which eq. 5 was not solved. */
  readonly unsolved: number
  readonly files: { readonly [what: string]: string }
}

/** The file in a plan's folder that `--teacher` takes. */
export const combinedFile = 'combined.json'

/** `imago specialists combine`: generalist and trained specialists as one teacher, counted on the test rows. */
export async function combineCommand(context: Context, options: CombineOptions): Promise<undefined> {
  const digest = digestOf(await readModel(options.generalist))
  const plan = await readPlan(options.plan, digest)
  const { combined, names, missing } = await described(options, plan, digest)
  const { test } = await openData(context, options)
  const path = join(options.plan, combinedFile)
  const opened = await openCombined(path, combined, { threads: options.threads })
  try {
    const counted = await count(opened, plan, test, context)
    for (const note of opened.predictor.notes) context.note(note)
    const report = join(options.plan, 'combined.html')
    const result: Result = {
      topN: options.topN,
      specialists: names,
      missing,
      ...counted,
      files: { teacher: path, report },
    }
    await write(path, `${JSON.stringify(combined, null, 2)}\n`)
    await write(report, reportOf(result))
    if (missing.length > 0) context.note(`without ${missing.join(', ')}: not trained yet (imago specialists train)`)
    if (counted.unsolved > 0) context.note(`eq. 5 was not solved in ${counted.unsolved} rows`)
    if (options.json) context.out(JSON.stringify(result, null, 2))
    else context.out(`${table(errorRows(result))}\n\n${table(coverRows(result))}\n\nteacher ${path}\nreport  ${report}`)
  } finally {
    await opened.predictor.dispose()
  }
}

/** The combination of what is trained. */
async function described({ plan: folder, generalist, topN }: CombineOptions, plan: Plan, digest: string) {
  const trained = plan.sets.filter(({ name }) => existsSync(join(folder, name, 'specialist.onnx')))
  if (trained.length === 0)
    throw new NotFoundError(`No specialist of ${folder} is trained`, 'Run imago specialists train first')
  const specialists = []
  for (const set of trained) {
    // Beside the description, so that the folder can be moved.
    const file = join(set.name, 'specialist.onnx')
    const model = await readModel(join(folder, file))
    const own = specialistFile(model, join(folder, file), set)
    if (own.classes !== plan.classes)
      throw new StateError(
        `${join(folder, file)} is one of ${own.classes} classes, not of ${plan.classes}`,
        'Train it again',
      )
    specialists.push({ file, sha256: digestOf(model) })
  }
  const combined: CombinedFile = {
    imago: 'specialists',
    version: 1,
    generalist: { file: generalist, sha256: digest },
    specialists,
    topN,
    ...(plan.input && { input: plan.input }),
    ...(plan.output !== undefined && { output: plan.output }),
  }
  const names = trained.map(({ name }) => name)
  return { combined, names, missing: plan.sets.map(({ name }) => name).filter((name) => !names.includes(name)) }
}

type Counted = Pick<Result, 'rows' | 'errors' | 'crossEntropy' | 'byCover' | 'active' | 'unsolved'>

async function count(
  { predictor, generalist, experts }: Combined,
  { classes }: Plan,
  test: Parameters<typeof evaluationBatches>[0],
  { signal, progress }: Context,
): Promise<Counted> {
  const covering = new Int32Array(classes)
  for (const { set } of experts) for (const c of set.classes) covering[c]!++
  const covers = new Map<number, { rows: number; generalist: number; combined: number }>()
  const errors = { generalist: 0, combined: 0 }
  const nats = { generalist: 0, combined: 0 }
  let [rows, seen, active, unsolved] = [0, 0, 0, 0]
  for await (const { inputs, labels } of evaluationBatches(test).epoch(0)) {
    signal.throwIfAborted()
    const [alone, whole] = [await generalist(inputs, signal), await predictor(inputs, signal)]
    for (const asked of whole.active!.data as Int32Array) active += asked
    for (const is of whole.unsolved!.data as Uint8Array) unsolved += is
    const of = { generalist: scored(alone, labels), combined: scored(whole, labels) }
    for (const [r, label] of (labels ?? []).entries()) {
      if (label < 0) continue
      rows++
      const cover = covers.get(covering[label]!) ?? { rows: 0, generalist: 0, combined: 0 }
      covers.set(covering[label]!, cover)
      cover.rows++
      for (const who of ['generalist', 'combined'] as const) {
        nats[who] += of[who].nats[r]!
        if (of[who].best[r] === label) continue
        errors[who]++
        cover[who]++
      }
    }
    seen += whole.active!.data.length
    progress.update('test rows', seen, test.length)
  }
  const byCover = [...covers].sort(([a], [b]) => a - b).map(([number, cover]) => ({ covering: number, ...cover }))
  const mean = { generalist: nats.generalist / rows, combined: nats.combined / rows }
  return { rows, errors, crossEntropy: mean, byCover, active: active / Math.max(1, seen), unsolved }
}

/** The best class of each row, and −ln p of its label. */
function scored({ logits }: TensorMap, labels: Int32Array | undefined): { best: Int32Array; nats: Float64Array } {
  const [rows = 0, classes = 0] = logits!.dims
  const best = new Int32Array(rows)
  const nats = new Float64Array(rows)
  for (let r = 0; r < rows; r++) {
    const z = (logits!.data as Float32Array).subarray(r * classes, (r + 1) * classes)
    for (let c = 1; c < classes; c++) if (z[c]! > z[best[r]!]!) best[r] = c
    const top = z[best[r]!]!
    const label = labels?.[r] ?? -1
    if (label >= 0) nats[r] = top + Math.log(z.reduce((sum, x) => sum + Math.exp(x - top), 0)) - z[label]!
  }
  return { best, nats }
}

function errorRows({ rows, errors, crossEntropy, active, unsolved }: Result): string[][] {
  if (rows === 0)
    return [
      ['', ''],
      ['test', 'nothing to count: the rows have no labels'],
      ['specialists asked about a row', active.toFixed(2)],
    ]
  const row = (name: 'generalist' | 'combined', label: string): string[] => [
    label,
    String(errors[name]),
    `${((100 * errors[name]) / rows).toFixed(2)} %`,
    crossEntropy[name].toFixed(4),
  ]
  return [
    [`${rows} test rows`, 'errors', 'error rate', 'cross entropy'],
    row('generalist', 'generalist'),
    row('combined', 'with specialists'),
    ['specialists asked about a row', active.toFixed(2), '', ''],
    ['rows in which eq. 5 was not solved', String(unsolved), '', ''],
  ]
}

function coverRows({ byCover }: Result): string[][] {
  return [
    ['sets with the true class', 'rows', 'generalist', 'with specialists', 'fewer'],
    ...byCover.map(({ covering, rows, generalist, combined }) => [
      String(covering),
      String(rows),
      String(generalist),
      String(combined),
      generalist === 0 ? '–' : `${((100 * (generalist - combined)) / generalist).toFixed(1)} %`,
    ]),
  ]
}

function reportOf(result: Result): string {
  const { specialists, missing, topN, errors, rows } = result
  const told = rows > 0 ? ` ${errors.combined} errors on ${rows} test rows, ${errors.generalist} without them.` : ''
  return page({
    title: 'imago specialists combine',
    summary: [
      `A generalist and ${specialists.length} specialists as one distribution.${told}`,
      ...(missing.length > 0 ? [`Not trained, and left out: ${missing.join(', ')}.`] : []),
    ],
    tables: [
      { title: 'Test', rows: errorRows(result) },
      { title: 'Errors by the number of sets that have the true class', rows: coverRows(result) },
    ],
    charts: [],
    facts: { specialists: specialists.join(', '), topN: String(topN) },
  })
}

function write(path: string, text: string): Promise<unknown> {
  return writeAtomic(path, [new TextEncoder().encode(text)])
}
