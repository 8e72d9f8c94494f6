import { rename, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  formatSchema,
  mungePasses,
  naiveBayesMixture,
  randomTable,
  sampleMixture,
  type Table,
  withoutColumns,
  writeCsv,
} from '@imago/data'
import { ArgumentError, NotFoundError, rng } from '@imago/tensor'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { readTable } from '../run/open-table.js'
import { table } from '../terminal/table.js'
import { real, whole, words } from '../values.js'

interface SynthOptions {
  readonly data: string
  readonly out: string
  readonly rows: number
  readonly label?: string
  readonly nominal?: string[]
  readonly ignore?: string[]
  readonly schema?: string
  readonly probability?: number
  readonly localVariance?: number
  readonly components?: number
  readonly seed: number
  readonly json?: boolean
  readonly quiet?: boolean
}

const methods = ['munge', 'random', 'nbe'] as const
type Method = (typeof methods)[number]

/** Options that only one method reads. */
const own: { readonly [option in 'probability' | 'localVariance' | 'components']: Method } = {
  probability: 'munge',
  localVariance: 'munge',
  components: 'nbe',
}

const flags = {
  probability: '--probability',
  localVariance: '--local-variance',
  components: '--components',
} as const

export function addSynth(program: Command, act: Act): void {
  program
    .command('synth <method>')
    .description('unlabelled rows like those of a table: munge, random or nbe (Bucilă, Caruana & Niculescu-Mizil 2006)')
    .requiredOption('--data <file>', 'the table, a .csv (or .csv.gz) with a header')
    .requiredOption('--out <file>', 'the .csv to write; what its columns hold goes beside it as .schema.json')
    .requiredOption('--rows <n>', 'how many rows to make', whole(1))
    .option('--label <column>', 'the column to be predicted: it is left out')
    .option('--nominal <columns>', 'columns that hold codes, though they look like numbers', words)
    .option('--ignore <columns>', 'columns that are left out', words)
    .option('--schema <file>', 'what the columns hold, as imago train wrote it; otherwise it is inferred')
    .option(
      '--probability <p>',
      'munge: that an attribute of a pair of neighbours is changed (default 0.5)',
      real(0, 1),
    )
    .option(
      '--local-variance <s>',
      'munge: the deviation of a new number is the difference of the pair divided by s (default 5)',
      real(0, Number.MAX_VALUE, true),
    )
    .option('--components <n>', 'nbe: components of the mixture (default: chosen by rows held out)', whole(1))
    .option('--seed <n>', 'where all randomness comes from', whole(0), 1)
    .option('--config <file>', 'options from a .json or .mjs file, in camelCase; the command line wins')
    .option('--json', 'print the result as JSON')
    .option('--quiet', 'no progress')
    .addHelpText(
      'after',
      `
  munge   changes each row and its nearest neighbour together: rows stay where the table has some
  random  draws each attribute by itself: a baseline
  nbe     draws from a mixture of naive Bayes models: a baseline

Examples:
  imago synth munge --data train.csv --label income --rows 100000 --out synth.csv
  imago distill --teacher a.onnx,b.onnx --data train.csv --label income --encoder runs/a/encoder.json \\
    --transfer synth.csv --arch mlp:108-64-2 --out runs/mimic
`,
    )
    .action(act(synth))
}

async function synth(context: Context, options: SynthOptions, method: string): Promise<undefined> {
  if (!methods.includes(method as Method))
    throw new NotFoundError(`there is no way "${method}" to make rows`, `There is ${methods.join(', ')}`)
  for (const option of Object.keys(own) as (keyof typeof own)[])
    if (options[option] !== undefined && own[option] !== method)
      throw new ArgumentError('imago', flags[option], `left out: only ${own[option]} reads it`, options[option])
  if (!options.out.endsWith('.csv')) throw new ArgumentError('imago', '--out', 'a name that ends in .csv', options.out)
  if (resolve(options.out) === resolve(options.data))
    throw new ArgumentError('imago', '--out', 'another file than --data', options.out)
  const found = await readTable(options.data, options)
  const has = found.schema.columns.some(({ name }) => name === options.label)
  if (options.label !== undefined && !has)
    throw new NotFoundError(
      `${options.data} has no column "${options.label}"`,
      `There are: ${found.schema.columns.map(({ name }) => name).join(', ')}`,
    )
  const source = options.label === undefined ? found : withoutColumns(found, [options.label])
  const schema = options.out.replace(/\.csv$/, '.schema.json')
  const rows = await writeCsv(
    options.out,
    source.schema,
    followed(context, tables(source, method as Method, options), options.rows),
    {
      signal: context.signal,
    },
  )
  await save(schema, formatSchema(source.schema))
  const result = { method, rows, columns: source.schema.columns.length, from: source.length, out: options.out, schema }
  if (options.json) context.out(JSON.stringify(result, null, 2))
  else
    context.out(
      table([
        ['', ''],
        ['rows', String(rows)],
        ['made of', `${source.length} rows of ${result.columns} columns`],
        ['file', options.out],
        ['schema', schema],
      ]),
    )
}

/** The rows, some at a time, so that they need not all be held. */
function* tables(source: Table, method: Method, options: SynthOptions): Generator<Table> {
  const { rows, probability, localVariance, components, seed } = options
  const random = rng(seed).split(method)
  if (method === 'munge') {
    yield* mungePasses(source, { rows, probability, localVariance, rng: random })
    return
  }
  const mixture = method === 'nbe' ? naiveBayesMixture(source, { components, rng: random.split('fit') }) : undefined
  const most = 10_000
  for (let done = 0, part = 0; done < rows; done += most, part++) {
    const some = { rows: Math.min(most, rows - done), rng: random.split(`part ${part}`) }
    yield mixture ? sampleMixture(mixture, source, some) : randomTable(source, some)
  }
}

/** Show how far it is, and stop where that is asked for: a signal is only heard between two turns of the event loop. */
async function* followed(context: Context, parts: Iterable<Table>, of: number): AsyncGenerator<Table> {
  let done = 0
  for (const part of parts) {
    await new Promise((next) => setImmediate(next))
    context.signal.throwIfAborted()
    yield part
    done += part.length
    context.progress.update('rows', done, of)
  }
}

async function save(path: string, text: string): Promise<void> {
  const partial = `${path}.${process.pid}.partial`
  await writeFile(partial, text)
  await rename(partial, path)
}
