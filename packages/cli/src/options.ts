import type { Command } from 'commander'
import { fraction, jsonObject, oneOf, pattern, real, whole, words } from './values.js'

/** Where data comes from. */
export interface DataOptions {
  readonly data: string
  readonly dataDir?: string
  /** What only tables (.csv) have. */
  readonly label?: string
  readonly nominal?: string[]
  readonly ignore?: string[]
  readonly schema?: string
  readonly encoder?: string
  readonly transfer?: string
}

export function addDataOptions(command: Command): Command {
  return command
    .option(
      '--data <name|path>',
      'embedded, mnist, an .npz with x and y (or images and labels), a folder of IDX files, or two as IMAGES,LABELS; a .csv, or TRAIN.csv,TEST.csv',
      'embedded',
    )
    .option(
      '--data-dir <folder>',
      'where named data sets lie (default: $IMAGO_DATA_DIR, else the cache, else a download)',
    )
    .option('--label <column>', '.csv: the column to be predicted')
    .option('--nominal <columns>', '.csv: columns that hold codes, though they look like numbers', words)
    .option('--ignore <columns>', '.csv: columns that are left out', words)
    .option('--schema <file>', '.csv: what the columns hold; otherwise it is inferred')
    .option(
      '--encoder <file>',
      '.csv: how rows become inputs, as imago train wrote it beside a model; otherwise it is learnt',
    )
    .option(
      '--transfer <data>',
      'unlabelled rows that join the training rows: what --data takes, or a .csv (imago synth) where --data is one',
    )
}

/** How a student is trained; `train` and `distill` share them. */
export interface TrainingOptions extends DataOptions {
  readonly out: string
  readonly student?: string
  readonly arch?: string
  readonly epochs: number
  readonly batch: number
  readonly seed: number
  readonly optimizer: 'adamw' | 'sgd'
  readonly rate: number
  readonly schedule: 'constant' | 'cosine'
  readonly momentum: number
  readonly weightDecay: number
  readonly maxSquaredNorm?: number
  readonly clip?: number
  readonly jitter: number
  readonly views?: number
  readonly validation: number
  readonly threads: number
  readonly checkpointEvery: number
  readonly studentInput?: { readonly [name: string]: unknown }
  readonly freeze?: string
  readonly batchNorm?: 'batch' | 'frozen'
  readonly license?: string
  readonly json?: boolean
  readonly quiet?: boolean
}

export function addTrainingOptions(command: Command): Command {
  const trained = addDataOptions(command)
    .requiredOption(
      '--out <folder>',
      'the run folder: model, checkpoint, metrics and report; the same command goes on where it stopped',
    )
    .option('--student <file>', 'the student, an .onnx classifier')
    .option('--arch <architecture>', 'or a fresh student: mlp:784-800-800-10 or lenet5')
    .option('--epochs <n>', 'passes over the training rows', whole(1), 10)
    .option('--batch <rows>', 'rows a step', whole(1), 100)
    .option('--seed <n>', 'where all randomness comes from', whole(0), 1)
  return addOptimizerOptions(trained)
    .option('--jitter <pixels>', 'move each training image by up to so many pixels', whole(0), 0)
    .option('--validation <rows>', 'training rows held out, evaluated after each epoch', whole(0), 0)
    .option('--threads <n>', 'threads of ONNX Runtime', whole(1), 2)
    .option('--checkpoint-every <epochs>', 'epochs between checkpoints', whole(1), 1)
    .option('--student-input <json>', 'how rows reach the student: {"name","layout","scale","mean","std"}', jsonObject)
    .option('--freeze <pattern>', 'parameters that stay as they are, a regular expression over their names', pattern)
    .option(
      '--batch-norm <mode>',
      "batch: normalise by the batch and move the running statistics; frozen: use the file's (default: batch)",
      oneOf('batch', 'frozen'),
    )
    .option('--license <text>', "the student's licence, into its properties")
    .option('--config <file>', 'options from a .json or .mjs file, in camelCase; the command line wins')
    .option('--json', 'print the result as JSON')
    .option('--quiet', 'no progress')
}

/** What `optimizerOf` reads. */
export function addOptimizerOptions(command: Command): Command {
  return command
    .option('--optimizer <name>', 'adamw or sgd', oneOf('adamw', 'sgd'), 'adamw')
    .option('--rate <x>', 'learning rate', real(0, Number.MAX_VALUE, true), 1e-3)
    .option(
      '--schedule <name>',
      'constant or cosine (to zero at the last epoch)',
      oneOf('constant', 'cosine'),
      'constant',
    )
    .option('--momentum <x>', 'momentum of sgd', fraction, 0.9)
    .option('--weight-decay <x>', 'weight decay, on weights and not on biases', real(0), 0)
    .option(
      '--max-squared-norm <x>',
      "limit of the squared length of a unit's incoming weights",
      real(0, Number.MAX_VALUE, true),
    )
    .option('--clip <x>', 'limit of the norm of all gradients together', real(0, Number.MAX_VALUE, true))
}
