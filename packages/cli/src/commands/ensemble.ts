import { rename, writeFile } from 'node:fs/promises'
import { type Dataset, split } from '@imago/data'
import { arithmetic, ensemble, geometric, type Metric, selectEnsemble } from '@imago/ensembles'
import { readModel } from '@imago/onnx'
import { type InputMap, type Predictor, predictor } from '@imago/runtime'
import { ArgumentError, NotFoundError, type Predict, rng, StateError, type Tensor, tensor } from '@imago/tensor'
import { evaluate } from '@imago/trainer'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { addDataOptions, type DataOptions } from '../options.js'
import { filesOf } from '../run/files-of.js'
import { openData } from '../run/open-data.js'
import { digestOf } from '../run/student-model.js'
import { evaluationBatches } from '../run/training.js'
import { table } from '../terminal/table.js'
import { jsonObject, oneOf, real, whole } from '../values.js'

interface EnsembleOptions extends DataOptions {
  readonly members: string
  readonly out: string
  readonly metric: Metric
  readonly rounds: number
  readonly sortedInitial: number
  readonly bags: number
  readonly bagFraction: number
  readonly average: 'arithmetic' | 'geometric'
  readonly validation: number
  readonly seed: number
  readonly input?: { readonly [name: string]: unknown }
  readonly threads: number
  readonly json?: boolean
  readonly quiet?: boolean
}

export function addEnsemble(program: Command, act: Act): void {
  addDataOptions(
    program
      .command('ensemble <action>')
      .description('select: choose an ensemble from a library of models by rows held out (Caruana et al. 2004)'),
  )
    .requiredOption('--members <files>', 'the library: .onnx classifiers with commas between')
    .requiredOption(
      '--out <file>',
      'the .json to write: members, weights, the path of the selection; --teacher takes it',
    )
    .option(
      '--metric <name>',
      'what is to be small',
      oneOf('crossEntropy', 'rmse', 'errorRate'),
      'crossEntropy' as Metric,
    )
    .option('--rounds <n>', 'models that are added, each from the whole library', whole(1), 50)
    .option('--sorted-initial <n>', 'begin with up to so many of the best by themselves', whole(0), 0)
    .option('--bags <n>', 'select from so many random parts of the library, and take the mean', whole(0), 0)
    .option('--bag-fraction <x>', 'the share of the library in a bag', real(0, 1, true), 0.5)
    .option(
      '--average <mean>',
      'of what: probabilities, or their logarithms',
      oneOf('arithmetic', 'geometric'),
      'arithmetic',
    )
    .option(
      '--validation <rows>',
      'training rows to choose by: those that imago train --validation holds out with the same --seed',
      whole(1),
      1000,
    )
    .option('--seed <n>', 'which rows, and which bags', whole(0), 1)
    .option('--input <json>', 'how rows reach the models: {"name","layout","scale","mean","std"}', jsonObject)
    .option('--threads <n>', 'threads of ONNX Runtime', whole(1), 2)
    .option('--config <file>', 'options from a .json or .mjs file, in camelCase; the command line wins')
    .option('--json', 'print the result as JSON')
    .option('--quiet', 'no progress')
    .addHelpText(
      'after',
      `
Models that were trained with --validation have not seen the rows that choose; choose by others, and every model looks better than it is.

Examples:
  imago ensemble select --members a.onnx,b.onnx,c.onnx --data digits --validation 1000 --out ensemble.json
  imago distill --teacher ensemble.json --data digits --arch mlp:784-64-10 --out runs/mimic
`,
    )
    .action(act(select))
}

async function select(context: Context, options: EnsembleOptions, action: string): Promise<undefined> {
  if (action !== 'select') throw new NotFoundError(`there is no action "${action}"`, 'There is select')
  const files = filesOf('--members', options.members)
  if (files.length < 2)
    throw new ArgumentError('imago', '--members', 'two or more files with commas between', options.members)
  const { train, test } = await openData(context, options)
  if (train.classes === undefined)
    throw new StateError(`--data ${options.data} has no labels`, 'An ensemble is chosen by labelled rows')
  const { validation } = split(train, {
    validation: options.validation,
    rng: rng(options.seed).split('validation'),
  })
  const opened: Predictor[] = []
  const digests: string[] = []
  try {
    for (const file of files) {
      const model = await readModel(file)
      digests.push(digestOf(model))
      const map = options.input && { map: options.input as InputMap }
      opened.push(await predictor(model, { threads: options.threads, ...map }))
    }
    const predictions = []
    for (const [i, predict] of opened.entries()) {
      context.progress.update('library', i, files.length, files[i])
      predictions.push({ logits: await logitsOf(files[i]!, predict, validation, context.signal) })
    }
    context.progress.update('library', files.length, files.length)
    const { average, metric, rounds, sortedInitial, bags, bagFraction: fraction, seed } = options
    const { weights, path, score, alone } = selectEnsemble({
      predictions,
      names: files,
      labels: await labelsOf(validation),
      metric,
      rounds,
      sortedInitial,
      average,
      ...(bags > 0 && { bags: { count: bags, fraction, rng: rng(seed).split('bags') } }),
    })
    const how = average === 'arithmetic' ? arithmetic({ weights }) : geometric({ weights })
    const whole = ensemble(opened, how, { names: files })
    const labelled = test.classes !== undefined
    const onTest =
      labelled && (await evaluate({ predict: whole, data: evaluationBatches(test), signal: context.signal }))
    const members = files.map((file, i) => ({ file, sha256: digests[i]!, weight: weights[i]!, alone: alone[i]! }))
    const result = {
      imago: 'ensemble',
      version: 1,
      average,
      metric,
      score,
      validation: validation.length,
      members,
      path: path.map(({ bag, member, score: at, kept }) => ({ bag, file: files[member]!, score: at, kept })),
      ...(onTest && { test: { errors: onTest.errors, rows: onTest.rows, crossEntropy: onTest.crossEntropy } }),
    }
    const partial = `${options.out}.${process.pid}.partial`
    await writeFile(partial, `${JSON.stringify(result, null, 2)}\n`)
    await rename(partial, options.out)
    if (options.json) context.out(JSON.stringify(result, null, 2))
    else {
      const rows = members.toSorted((a, b) => b.weight - a.weight || a.alone - b.alone)
      const list = rows.map(({ file, weight, alone: by }) => [file, weight.toFixed(3), by.toFixed(4)])
      const tested = onTest ? `, ${onTest.errors} errors on ${onTest.rows} test rows` : ''
      context.out(table([['member', 'weight', `${metric} alone`], ...list, ['ensemble', '', score.toFixed(4)]]))
      context.out(`\n${path.filter(({ kept }) => kept).length} of ${path.length} steps kept${tested}\n${options.out}`)
    }
  } finally {
    for (const one of opened) await one.dispose()
  }
}

/** Logits [N, C] of all rows. */
async function logitsOf(
  file: string,
  predict: Predict,
  rows: Dataset,
  signal: AbortSignal,
): Promise<Tensor<'float32'>> {
  const parts: Float32Array[] = []
  let classes = 0
  for await (const { inputs } of evaluationBatches(rows).epoch(0)) {
    const { logits } = await predict(inputs, signal)
    if (logits?.type !== 'float32' || logits.dims.length !== 2)
      throw new StateError(`${file} gives no logits [N, C]`, 'Give classifiers')
    classes = logits.dims[1]!
    parts.push((logits.data as Float32Array).slice())
  }
  const whole = new Float32Array(rows.length * classes)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return tensor('float32', [rows.length, classes], whole)
}

async function labelsOf(rows: Dataset): Promise<Int32Array> {
  return (
    rows.rows(Uint32Array.from({ length: rows.length }, (_, i) => i)).labels ?? new Int32Array(rows.length).fill(-1)
  )
}
