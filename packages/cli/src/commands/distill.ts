import { softTarget } from '@imago/losses'
import { readModel } from '@imago/onnx'
import { type InputMap, predictor } from '@imago/runtime'
import { fromPredict } from '@imago/tensor'
import { distill } from '@imago/trainer'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { addTrainingOptions, type TrainingOptions } from '../options.js'
import { digestOf } from '../run/student-model.js'
import { trainingRun } from '../run/training-run.js'
import { jsonObject, real } from '../values.js'

interface DistillCommandOptions extends TrainingOptions {
  readonly teacher: string
  readonly temperature: number
  readonly hardWeight: number
  readonly teacherInput?: { readonly [name: string]: unknown }
  readonly teacherOutput?: string
}

export function addDistill(program: Command, act: Act): void {
  addTrainingOptions(
    program.command('distill').description("train a student on a teacher's soft targets (Hinton, Vinyals & Dean 2015)"),
  )
    .requiredOption('--teacher <file>', 'the teacher, any .onnx classifier')
    .option('--temperature <T>', 'softens both distributions', real(0, Number.MAX_VALUE, true), 4)
    .option('--hard-weight <a>', "share a of the labels' cross entropy: (1 − a)·T²·KL + a·CE", real(0, 1), 0)
    .option('--teacher-input <json>', 'how rows reach the teacher: {"name","layout","scale","mean","std"}', jsonObject)
    .option('--teacher-output <name>', "the teacher's output that classifies, where it has several")
    .addHelpText(
      'after',
      `
Examples:
  imago distill --teacher teacher.onnx --arch mlp:784-64-10 --temperature 4 --epochs 20 --out runs/student
  imago distill --teacher teacher.onnx --student student.onnx --data mnist --temperature 20 --out runs/mnist \\
    --teacher-input '{"layout":"NCHW"}' --student-input '{"mean":0.1307,"std":0.3081}'
`,
    )
    .action(act(distillCommand))
}

async function distillCommand(context: Context, options: DistillCommandOptions): Promise<undefined> {
  const model = await readModel(options.teacher)
  const teacher = await predictor(model, {
    threads: options.threads,
    ...(options.teacherInput && { map: options.teacherInput as InputMap }),
    ...(options.teacherOutput !== undefined && { output: options.teacherOutput }),
  })
  try {
    await trainingRun(context, options, {
      command: 'distill',
      config: { teacher: digestOf(model), temperature: options.temperature, hardWeight: options.hardWeight },
      teacher,
      fit: (pieces) =>
        distill({
          ...pieces,
          targets: fromPredict(teacher),
          loss: softTarget({ temperature: options.temperature, hardWeight: options.hardWeight }),
        }),
    })
  } finally {
    await teacher.dispose()
  }
}
