import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Dataset } from '@imago/data'
import { correlationOf, covarianceOf, type Moments } from '@imago/kernels'
import { encode, readModel } from '@imago/onnx'
import { type InputMap, predictor } from '@imago/runtime'
import {
  type ConfusionClusters,
  confusionClusters,
  fullSpecialistModel,
  lastLinear,
  predictionMoments,
  type SetsSummary,
  specialistModel,
  summarizeSets,
} from '@imago/specialists'
import { ArgumentError, permutation, type Rng, rng, type Tensor } from '@imago/tensor'
import { claimRunFolder, type JsonObject } from '@imago/trainer'
import type { Context } from '../context.js'
import type { DataOptions } from '../options.js'
import type { HeatMap } from '../report/heat-map.js'
import { page } from '../report/page.js'
import { openData } from '../run/open-data.js'
import { digestOf } from '../run/student-model.js'
import { evaluationBatches } from '../run/training.js'
import { table } from '../terminal/table.js'
import { initialFile, type Plan, planFile } from './plan-file.js'

export interface PlanOptions extends DataOptions {
  readonly generalist: string
  readonly out: string
  readonly count: number
  readonly size?: number
  readonly columns: 'covariance' | 'correlation'
  readonly head: 'dustbin' | 'full'
  readonly restarts: number
  readonly sample: number
  readonly names?: string
  readonly seed: number
  readonly input?: { readonly [name: string]: unknown }
  readonly output?: string
  readonly threads: number
  readonly json?: boolean
  readonly quiet?: boolean
}

/** `imago specialists plan`: class sets from the generalist's predictions, and a specialist for each that begins as the generalist. */
export async function planCommand(context: Context, options: PlanOptions): Promise<undefined> {
  const { generalist: path, seed, head, count, size, columns, restarts, input, output } = options
  const random = rng(seed)
  const model = await readModel(path)
  // Refused before the data are opened.
  const { classes } = lastLinear(model, output)
  const names = options.names === undefined ? undefined : await namesOf(options.names, classes)
  const { train } = await openData(context, options)
  const digest = digestOf(model)
  const { json: _, quiet: __, out: ___, dataDir: ____, names: _____, generalist: ______, ...rest } = options
  const config = JSON.parse(
    JSON.stringify({ ...rest, config: undefined, command: 'specialists plan', generalist: digest }),
  )
  const predict = await predictor(model, {
    threads: options.threads,
    ...(input && { map: input as InputMap }),
    ...(output !== undefined && { output }),
  })
  const folder = await claimRunFolder(options.out, config as JsonObject)
  try {
    const moments = await predictionMoments({
      generalist: predict,
      batches: evaluationBatches(train).epoch(0),
      signal: context.signal,
      onRows: (rows) => context.progress.update('predictions', rows, train.length),
    })
    for (const note of predict.notes) context.note(note)
    const found = confusionClusters({
      moments,
      count,
      ...(size !== undefined && { size }),
      columns,
      restarts,
      rng: random.split('sets'),
    })
    for (const note of found.notes) context.note(note)
    const { sets } = found
    const logits = head === 'dustbin' ? await sampled(train, options.sample, random, predict, context) : undefined
    for (const set of sets) {
      context.signal.throwIfAborted()
      const made = logits
        ? specialistModel(model, { set, logits, output }).model
        : fullSpecialistModel(model, { set, output })
      await folder.write(initialFile(set), encode(made))
    }
    const plan: Plan = {
      imago: 'specialists plan',
      version: 1,
      generalist: digest,
      classes,
      head,
      sets,
      ...(input && { input }),
      ...(output !== undefined && { output }),
    }
    const summary = summarizeSets({ sets, moments, names })
    const report = await folder.write('report.html', reportOf(moments, found, summary, config as JsonObject))
    // The plan comes last: where it is, the rest is too.
    const file = await folder.write(planFile, `${JSON.stringify(plan, null, 2)}\n`)
    if (options.json)
      context.out(JSON.stringify({ plan: file, report, ...summary, covering: [...summary.covering] }, null, 2))
    else {
      context.out(table(rowsOf(summary)))
      context.out(`\n${uncoveredText(summary)}\n\nplan   ${file}\nreport ${report}`)
    }
  } finally {
    await folder.release()
    await predict.dispose()
  }
}

/** The generalist's logits on rows drawn from the data. */
async function sampled(
  train: Dataset,
  rows: number,
  random: Rng,
  predict: Awaited<ReturnType<typeof predictor>>,
  { signal }: Context,
): Promise<Tensor> {
  const chosen = permutation(random.split('sample'), train.length).slice(0, rows).sort()
  return (await predict(train.rows(chosen).inputs, signal)).logits!
}

/** Class names: a file with one on each line, or names with commas between. */
async function namesOf(text: string, classes: number): Promise<string[]> {
  const names = existsSync(text)
    ? (await readFile(text, 'utf8')).replace(/\r?\n$/, '').split(/\r?\n/)
    : text.split(',').map((name) => name.trim())
  if (names.length === classes) return names
  throw new ArgumentError(
    'imago',
    '--names',
    `a file of ${classes} lines, or ${classes} names with commas between`,
    names.length,
  )
}

function rowsOf({ sets }: SetsSummary): string[][] {
  return [
    ['set', 'classes', 'cohesion', 'outside', 'mass', ''],
    ...sets.map(({ name, classes, cohesion, outside, mass }) => [
      name,
      String(classes.length),
      cohesion.toFixed(3),
      outside.toFixed(3),
      `${(100 * mass).toFixed(1)} %`,
      listed(classes, 12),
    ]),
  ]
}

function uncoveredText({ uncovered, covering }: SetsSummary): string {
  if (uncovered.length === 0) return `Every one of the ${covering.length} classes is in a set.`
  return `${uncovered.length} of ${covering.length} classes are in no set, the generalist answers for them alone: ${listed(uncovered, 20)}`
}

function listed(names: readonly string[], most: number): string {
  return `${names.slice(0, most).join(' ')}${names.length > most ? ` … (${names.length})` : ''}`
}

function reportOf(moments: Moments, found: ConfusionClusters, summary: SetsSummary, config: JsonObject): string {
  return page({
    title: 'imago specialists plan',
    summary: [
      `${summary.sets.length} sets out of the predictions on ${moments.count} rows.`,
      uncoveredText(summary),
      'Cohesion is the mean correlation of the predictions of two classes of the set, to be compared with that of one inside and one outside.',
    ],
    tables: [{ title: 'Sets', rows: rowsOf(summary) }],
    charts: [],
    heatMaps: [
      heatMapOf('Covariance of the predictions, classes ordered by cluster', covarianceOf(moments), found),
      heatMapOf('Correlation of the predictions, classes ordered by cluster', correlationOf(moments), found),
    ],
    facts: Object.fromEntries(
      Object.entries(config).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
    ),
  })
}

function heatMapOf(title: string, matrix: Tensor<'float64'>, { order, clusters }: ConfusionClusters): HeatMap {
  const size = order.length
  const values = new Float64Array(size * size)
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) values[i * size + j] = matrix.data[order[i]! * size + order[j]!]!
  const borders = [...order.keys()].filter((i) => i > 0 && clusters[order[i]!] !== clusters[order[i - 1]!])
  const text = 'Red blocks on the diagonal are classes between which the generalist hesitates; lines divide clusters.'
  return { title, text, values, size, borders }
}
