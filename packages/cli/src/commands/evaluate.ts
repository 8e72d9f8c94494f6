import { type InputMap, predictor } from '@imago/runtime'
import { evaluate } from '@imago/trainer'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { addDataOptions, type DataOptions } from '../options.js'
import { openData } from '../run/open-data.js'
import { evaluationBatches } from '../run/training.js'
import { table } from '../terminal/table.js'
import { jsonObject, whole } from '../values.js'

interface EvaluateCommandOptions extends DataOptions {
  readonly input?: { readonly [name: string]: unknown }
  readonly output?: string
  readonly isolate?: boolean
  readonly threads: number
  readonly json?: boolean
}

export function addEvaluate(program: Command, act: Act): void {
  addDataOptions(
    program
      .command('evaluate <model>')
      .description('errors, cross entropy and calibration of a classifier on test rows'),
  )
    .option('--input <json>', 'how rows reach the model: {"name","layout","scale","mean","std"}', jsonObject)
    .option('--output <name>', 'the output that classifies, where the model has several')
    .option(
      '--isolate',
      'run it in a process of its own: what crashes or fills the memory there is an error, not the end',
    )
    .option('--threads <n>', 'threads of ONNX Runtime', whole(1), 2)
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  imago evaluate student.onnx\n  imago evaluate teacher.onnx --data mnist --input \'{"layout":"NCHW"}\'\n',
    )
    .action(act(evaluateCommand))
}

async function evaluateCommand(context: Context, options: EvaluateCommandOptions, path: string): Promise<undefined> {
  const predict = await predictor(path, {
    threads: options.threads,
    ...(options.input && { map: options.input as InputMap }),
    ...(options.output !== undefined && { output: options.output }),
    ...(options.isolate && { isolate: true }),
  })
  try {
    const { test } = await openData(context, options)
    const result = await evaluate({ predict, data: evaluationBatches(test), signal: context.signal, confusion: true })
    for (const note of predict.notes) context.note(note)
    if (options.json) context.out(JSON.stringify(result, null, 2))
    else
      context.out(
        table([
          ['', ''],
          ['errors', `${result.errors} of ${result.rows}`],
          ['error rate', `${(100 * result.errorRate).toFixed(2)} %`],
          ['cross entropy', `${result.crossEntropy.toFixed(4)} nats`],
          ['calibration error', result.calibrationError.toFixed(4)],
        ]),
      )
  } finally {
    await predict.dispose()
  }
}
