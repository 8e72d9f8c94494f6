import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type CompactCost,
  compactCost,
  type Dataset,
  type Encoding,
  type EncodingOptions,
  fillStore,
  fromStore,
  openStore,
} from '@imago/data'
import type { InputMap } from '@imago/runtime'
import { ArgumentError, fromPredict, rng, type Targets } from '@imago/tensor'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { addDataOptions, type DataOptions } from '../options.js'
import { openData } from '../run/open-data.js'
import { openTeachers } from '../run/open-teachers.js'
import { preprocessingName, teacherName } from '../run/teacher-identity.js'
import { fixedViews } from '../run/training.js'
import { table } from '../terminal/table.js'
import { jsonObject, oneOf, reals, whole } from '../values.js'

interface TeachOptions extends DataOptions {
  readonly teacher?: string
  readonly from?: string
  readonly combine?: 'geometric' | 'arithmetic'
  readonly out: string
  readonly keep: 'full' | 'top-k' | 'compact'
  readonly type: 'float32' | 'float16' | 'bfloat16'
  readonly k: number
  readonly bits?: number
  readonly temperature?: readonly number[]
  readonly jitter: number
  readonly views?: number
  readonly seed: number
  readonly batch: number
  readonly threads: number
  readonly teacherInput?: { readonly [name: string]: unknown }
  readonly teacherOutput?: string
  readonly isolate?: boolean
  readonly json?: boolean
  readonly quiet?: boolean
}

/** What is in the store, and how fast it came there; rates are of the rows that this run wrote. */
interface Result {
  readonly folder: string
  readonly rows: number
  readonly classes: number
  readonly encoding: Encoding
  readonly teacher: string
  readonly bytes: number
  readonly bytesPerRow: number
  readonly written: number
  readonly seconds: number
  readonly rowsPerSecond?: number
  readonly megabytesPerSecond?: number
  readonly cost?: CompactCost
}

export function addTeach(program: Command, act: Act): void {
  addDataOptions(program.command('teach').description("write down a teacher's outputs once, for many students"))
    .requiredOption('--out <folder>', 'the store; the same command goes on where it stopped')
    .option('--teacher <file[,file…]>', 'the teacher, any .onnx classifier; several with commas are an ensemble')
    .option('--from <store>', 'or a store of full logits, to keep less of each row')
    .option(
      '--combine <mean>',
      'how several teachers become one (default: geometric)',
      oneOf('geometric', 'arithmetic'),
    )
    .option('--keep <what>', 'full logits, top-k (exact) or compact', oneOf('full', 'top-k', 'compact'), 'full')
    .option('--type <type>', 'of what is kept exactly', oneOf('float32', 'float16', 'bfloat16'), 'float16')
    .option('--k <classes>', 'classes kept of a row (top-k, compact)', whole(1), 128)
    .option('--bits <n>', 'of a logit (compact; default: 8, or 6 where a row would not fit 300 bytes)', whole(2))
    .option(
      '--temperature <T[,T…]>',
      'temperatures that students will take: needed for top-k and compact, whose tail is that of a temperature',
      reals(0, Number.MAX_VALUE, true),
    )
    .option('--jitter <pixels>', 'move each training image by up to so many pixels (with --views)', whole(0), 0)
    .option('--views <n>', 'so many jittered views of each row, the same in every epoch', whole(1))
    .option('--seed <n>', 'where views come from', whole(0), 1)
    .option('--batch <rows>', 'rows that the teacher gets at a time', whole(1), 256)
    .option('--threads <n>', 'threads of ONNX Runtime', whole(1), 2)
    .option('--teacher-input <json>', 'how rows reach the teacher: {"name","layout","scale","mean","std"}', jsonObject)
    .option('--teacher-output <name>', "the teacher's output that classifies, where it has several")
    .option(
      '--isolate',
      'run teachers in a process of its own: what crashes or fills the memory there is an error, not the end',
    )
    .option('--config <file>', 'options from a .json or .mjs file, in camelCase; the command line wins')
    .option('--json', 'print the result as JSON')
    .option('--quiet', 'no progress')
    .addHelpText(
      'after',
      `
A store knows its samples by their ids and inputs, and its teacher by its SHA-256: use with other data, or of a store that is damaged, is refused.
Ctrl-C keeps what is done. Students read it with imago distill --targets, on a machine that has no teacher.

Examples:
  imago teach --teacher teacher.onnx --data mnist --out targets/mnist
  imago teach --teacher teacher.onnx --data mnist --keep top-k --k 5 --temperature 1,4 --out targets/top-5
  imago teach --teacher teacher.onnx --jitter 2 --views 8 --out targets/views
  imago teach --from targets/mnist --data mnist --keep compact --k 5 --temperature 4 --out targets/compact
`,
    )
    .action(act(teach))
}

async function teach(context: Context, options: TeachOptions): Promise<undefined> {
  const encoding = encodingOf(options)
  const { train } = await openData(context, options)
  const data: Dataset =
    options.views === undefined ? unmoved(train, options) : fixedViews(train, options, rng(options.seed))
  const source = await openSource(context, options, encoding)
  let [began, first, rows] = [0, 0, -1]
  try {
    const reports = fillStore({
      folder: options.out,
      data,
      targets: source.targets,
      encoding: source.encoding,
      teacher: source.teacher,
      preprocessing: source.preprocessing,
      batch: options.batch,
      signal: context.signal,
      clock: context.now,
    })
    for await (const report of reports) {
      if (rows < 0) {
        ;[began, first] = [context.now(), report.rows]
        if (first > 0 && first < report.of) context.note(`${options.out}: going on after row ${first}`)
      }
      rows = report.rows
      const seconds = (context.now() - began) / 1000
      const speed = seconds > 0.2 ? `${Math.round((rows - first) / seconds)} rows/s` : ''
      context.progress.update('teacher outputs', rows, report.of, speed)
    }
    for (const note of source.notes()) context.note(`teacher: ${note}`)
  } finally {
    await source.dispose()
  }
  const result = await resultOf(options.out, rows - first, (context.now() - began) / 1000)
  if (options.json) context.out(JSON.stringify(result, null, 2))
  else context.out(table(rowsOf(result)))
}

/** Images that are moved anew in every epoch have no targets that could be kept. */
function unmoved(train: Dataset, { jitter }: TeachOptions): Dataset {
  if (jitter === 0) return train
  throw new ArgumentError('imago', '--jitter', 'given with --views: only views that are fixed can be taught', jitter)
}

function encodingOf(options: TeachOptions): EncodingOptions {
  const { keep, type, k, bits, temperature } = options
  if (keep === 'full') {
    if (temperature !== undefined && options.combine !== 'arithmetic')
      throw new ArgumentError('imago', '--temperature', 'left out for full logits, which serve all', temperature)
    return { kind: 'full', type, ...(temperature && { temperatures: temperature }) }
  }
  if (temperature === undefined)
    throw new ArgumentError(
      'imago',
      '--temperature',
      `given with --keep ${keep}: a tail is that of a temperature`,
      temperature,
    )
  if (keep === 'top-k') return { kind: 'top-k', k, values: type, temperatures: temperature }
  return { kind: 'compact', k, temperatures: temperature, ...(bits !== undefined && { bits }) }
}

interface Source {
  readonly targets: Targets
  readonly encoding: EncodingOptions
  readonly teacher: string
  readonly preprocessing: string
  readonly notes: () => readonly string[]
  readonly dispose: () => Promise<void>
}

async function openSource(context: Context, options: TeachOptions, encoding: EncodingOptions): Promise<Source> {
  const { teacher, from, temperature = [] } = options
  if ((teacher === undefined) === (from === undefined))
    throw new ArgumentError(
      'imago',
      '--teacher, --from',
      'exactly one of the two',
      teacher === undefined ? 'neither' : 'both',
    )
  if (from !== undefined) {
    const store = await openStore(from)
    const { identity } = store
    if (identity.encoding.kind !== 'full') {
      await store.close()
      throw new ArgumentError('imago', '--from', 'a store of full logits: what is not kept cannot be told', from)
    }
    context.note(`${from}: ${store.rows} rows of ${identity.classes} classes`)
    return {
      targets: fromStore(store),
      encoding,
      teacher: identity.teacher,
      preprocessing: identity.preprocessing,
      notes: () => [],
      dispose: () => store.close(),
    }
  }
  // The arithmetic mean of distributions is another one at every temperature: it is stored for one, and says so.
  if (options.combine === 'arithmetic' && temperature.length !== 1)
    throw new ArgumentError(
      'imago',
      '--temperature',
      'one, with --combine arithmetic: the mean is that of a temperature',
      temperature,
    )
  const map = options.teacherInput as InputMap | undefined
  const teachers = await openTeachers(
    {
      teacher: teacher!,
      temperature: temperature[0] ?? 1,
      ...(options.combine && { combine: options.combine }),
    },
    {
      threads: options.threads,
      batchSize: options.batch,
      ...(map && { map }),
      ...(options.teacherOutput !== undefined && { output: options.teacherOutput }),
      ...(options.isolate && { isolate: true }),
    },
  )
  return {
    targets: fromPredict(teachers.targets),
    encoding,
    teacher: teacherName(teachers, temperature[0] ?? 1),
    preprocessing: preprocessingName(map, options.teacherOutput),
    notes: () => teachers.predictor.notes,
    dispose: () => teachers.predictor.dispose(),
  }
}

async function resultOf(folder: string, written: number, seconds: number): Promise<Result> {
  const store = await openStore(folder)
  try {
    const { rows, identity } = store
    const names = (await readdir(folder)).filter((name) => /^(shard-.*\.bin|store\.json)$/.test(name))
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size))
    const bytes = sizes.reduce((sum, size) => sum + size, 0)
    const cost = await compactCost(store)
    return {
      folder,
      rows,
      classes: identity.classes,
      encoding: identity.encoding,
      teacher: identity.teacher,
      bytes,
      bytesPerRow: bytes / rows,
      written,
      seconds,
      ...(written > 0 &&
        seconds > 0 && {
          rowsPerSecond: written / seconds,
          megabytesPerSecond: ((bytes / rows) * written) / seconds / 1e6,
        }),
      ...(cost && { cost }),
    }
  } finally {
    await store.close()
  }
}

function rowsOf({ folder, rows, classes, encoding, bytes, bytesPerRow, rowsPerSecond, cost }: Result): string[][] {
  const kept = {
    full: () => 'all logits',
    'top-k': () => 'the largest logits, exact',
    compact: () => 'the largest logits, compact',
  }[encoding.kind]()
  const { temperatures } = encoding
  return [
    ['', ''],
    ['store', folder],
    ['rows', `${rows} of ${classes} classes`],
    ['kept', encoding.kind === 'full' ? `${kept}, ${encoding.type}` : `${encoding.k} ${kept}`],
    ...(temperatures ? [['temperatures', temperatures.join(', ')]] : []),
    ['size', `${(bytes / 2 ** 20).toFixed(1)} MiB, ${bytesPerRow.toFixed(1)} bytes a row`],
    ...(rowsPerSecond === undefined ? [] : [['speed', `${Math.round(rowsPerSecond)} rows/s`]]),
    ...(cost ? [['cost', `T²·KL ≤ ${cost.bound.toExponential(1)} nats (first ${cost.rows} rows)`]] : []),
  ]
}
