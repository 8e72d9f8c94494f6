import { softTarget } from '@imago/losses'
import type { InputMap } from '@imago/runtime'
import { fromPredict } from '@imago/tensor'
import { distill } from '@imago/trainer'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { addTrainingOptions, type TrainingOptions } from '../options.js'
import { openTeachers, type TeacherOptions } from '../run/open-teachers.js'
import { trainingRun } from '../run/training-run.js'
import { jsonObject, oneOf, real } from '../values.js'

interface DistillCommandOptions extends TrainingOptions, TeacherOptions {
  readonly hardWeight: number
  readonly teacherInput?: { readonly [name: string]: unknown }
  readonly teacherOutput?: string
}

export function addDistill(program: Command, act: Act): void {
  addTrainingOptions(
    program.command('distill').description("train a student on a teacher's soft targets (Hinton, Vinyals & Dean 2015)"),
  )
    .requiredOption(
      '--teacher <file[,file…]>',
      'the teacher, any .onnx classifier; several with commas are an ensemble',
    )
    .option(
      '--combine <mean>',
      'how several teachers become one: geometric or arithmetic (default: geometric)',
      oneOf('geometric', 'arithmetic'),
    )
    .option('--temperature <T>', 'softens both distributions', real(0, Number.MAX_VALUE, true), 4)
    .option('--hard-weight <a>', "share a of the labels' cross entropy: (1 − a)·T²·KL + a·CE", real(0, 1), 0)
    .option('--teacher-input <json>', 'how rows reach the teacher: {"name","layout","scale","mean","std"}', jsonObject)
    .option('--teacher-output <name>', "the teacher's output that classifies, where it has several")
    .addHelpText(
      'after',
      `
Several teachers: the geometric mean is softmax(mean of the logits / T), the same ensemble at every temperature, so that the errors
that are counted (at T = 1) and the soft targets (at T) belong to one classifier. The arithmetic mean is that of the teachers'
probabilities, each teacher tempered at T first; at T = 1, where its errors are counted, it is another distribution.

Examples:
  imago distill --teacher teacher.onnx --arch mlp:784-64-10 --temperature 4 --epochs 20 --out runs/student
  imago distill --teacher teacher.onnx --student student.onnx --data mnist --temperature 20 --out runs/mnist \\
    --teacher-input '{"layout":"NCHW"}' --student-input '{"mean":0.1307,"std":0.3081}'
  imago distill --teacher a.onnx,b.onnx,c.onnx --combine arithmetic --arch mlp:784-64-10 --out runs/from-three
`,
    )
    .action(act(distillCommand))
}

async function distillCommand(context: Context, options: DistillCommandOptions): Promise<undefined> {
  const { predictor, targets, config } = await openTeachers(options, {
    threads: options.threads,
    ...(options.teacherInput && { map: options.teacherInput as InputMap }),
    ...(options.teacherOutput !== undefined && { output: options.teacherOutput }),
  })
  try {
    await trainingRun(context, options, {
      command: 'distill',
      config: { ...config, temperature: options.temperature, hardWeight: options.hardWeight },
      teacher: predictor,
      fit: (pieces) =>
        distill({
          ...pieces,
          targets: fromPredict(targets),
          loss: softTarget({ temperature: options.temperature, hardWeight: options.hardWeight }),
        }),
    })
  } finally {
    await predictor.dispose()
  }
}
