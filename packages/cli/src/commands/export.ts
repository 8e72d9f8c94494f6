import { resolve } from 'node:path'
import { encode, type Model, readModel, validateGraph, writeModel } from '@imago/onnx'
import { type Exported, exportModel } from '@imago/runtime'
import { ArgumentError, rng } from '@imago/tensor'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { properties, withProperties } from '../run/model-properties.js'
import { digestOf } from '../run/student-model.js'
import { sizes, whole } from '../values.js'

interface ExportCommandOptions {
  readonly out: string
  readonly fp16?: boolean
  readonly optimize?: boolean
  readonly dims?: { readonly [symbol: string]: number }
  readonly license?: string
  readonly seed: number
  readonly threads: number
  readonly json?: boolean
}

export function addExport(program: Command, act: Act): void {
  program
    .command('export <model>')
    .description('a model made ready for serving: half the size, or folded for inference; held against the one given')
    .requiredOption('--out <file>', 'the .onnx file to write')
    .option('--fp16', 'matrices and kernels in half precision; inputs, outputs and arithmetic stay float32')
    .option('--optimize', 'BatchNormalization and constants folded, dropout gone: for inference alone')
    .option('--license <text>', "the model's licence, into its properties")
    .option('--dims <sizes>', "sizes of the inputs' open dims to check with: N=2,T=16", sizes)
    .option('--seed <n>', 'where the inputs of the check come from', whole(0), 1)
    .option('--threads <n>', 'threads of ONNX Runtime', whole(1), 2)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Both models are run on drawn inputs before anything is written. --optimize is refused where an output moves by more than 0.0001 of the
largest one. With --fp16 the file has to give the very bits that its rounded weights give in float32; how far the rounding moves the
outputs is printed.

Examples:
  imago export runs/student/student.onnx --optimize --fp16 --out student.onnx
  imago export student.onnx --fp16 --dims N=1,T=128 --license Apache-2.0 --out small.onnx
`,
    )
    .action(act(exportCommand))
}

async function exportCommand(context: Context, options: ExportCommandOptions, path: string): Promise<undefined> {
  const { out, fp16 = false, optimize = false, license } = options
  if (resolve(out) === resolve(path))
    throw new ArgumentError('imago', '--out', 'another file than the model: the one given can be trained on', out)
  if (!fp16 && !optimize)
    throw new ArgumentError('imago', '--fp16, --optimize', 'given, at least one of them', 'neither')
  const given = await readModel(path)
  validateGraph(given.graph)
  const exported = await exportModel(given, {
    fp16,
    optimize,
    threads: options.threads,
    rng: rng(options.seed),
    ...(options.dims && { dims: options.dims }),
  })
  context.signal.throwIfAborted()
  const model = withProperties(exported.model, {
    ...(license !== undefined && { [properties.license]: license }),
    [properties.export]: JSON.stringify({ from: digestOf(given), fp16, optimize }),
  })
  await writeModel(out, model)
  if (options.json) context.out(JSON.stringify(asJson(given, model, exported, out), null, 2))
  else context.out(asText(exported, out))
}

function asJson(given: Model, model: Model, { notes, difference }: Exported, file: string): object {
  return { file, bytes: { before: encode(given).length, after: encode(model).length }, notes, difference }
}

function asText({ notes, difference }: Exported, file: string): string {
  const { identical, relative, values } = difference
  const moved = identical ? 'identical' : `up to ${relative.toExponential(1)} of the largest one away`
  return [...notes, `${values} outputs of drawn inputs: ${moved}`, `written: ${file}`].join('\n')
}
