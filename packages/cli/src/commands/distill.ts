import { readAhead } from '@imago/data'
import { type Loss, softTarget, squaredErrorOnProbabilities, weighted } from '@imago/losses'
import type { InputMap, Student } from '@imago/runtime'
import { ArgumentError, fromPredict, rng, type Targets } from '@imago/tensor'
import { distill, type FitOptions, type Outcome, type Report } from '@imago/trainer'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import type { Context } from '../context.js'
import { addTrainingOptions, type TrainingOptions } from '../options.js'
import { type Hint, hintSyntax, openHints, readHint } from '../run/open-hints.js'
import { needTeacher, openTargets } from '../run/open-targets.js'
import { openTeachers, type TeacherOptions, type Teachers } from '../run/open-teachers.js'
import { teacherName } from '../run/teacher-identity.js'
import { trainingRun } from '../run/training-run.js'
import { jsonObject, oneOf, real, whole } from '../values.js'

export interface DistillCommandOptions extends TrainingOptions, Omit<TeacherOptions, 'teacher'> {
  readonly teacher?: string
  readonly targets?: string
  readonly hardWeight: number
  readonly loss?: 'soft-target' | 'squared-probabilities'
  readonly hint?: readonly Hint[]
  readonly teacherInput?: { readonly [name: string]: unknown }
  readonly teacherOutput?: string
  readonly isolate?: boolean
}

export function addDistill(program: Command, act: Act): void {
  addTrainingOptions(
    program.command('distill').description("train a student on a teacher's soft targets (Hinton, Vinyals & Dean 2015)"),
  )
    .option(
      '--teacher <file[,file…]>',
      'the teacher, any .onnx classifier; several with commas are an ensemble, and so is what imago ensemble select wrote',
    )
    .option(
      '--targets <store[,store…]>',
      'or what teachers said (imago teach), without them; with --teacher too, it is the one that has filled the store',
    )
    .option(
      '--views <n>',
      'so many jittered views of each row, the same in every epoch (--targets has their targets)',
      whole(1),
    )
    .option(
      '--combine <mean>',
      'how several teachers become one: geometric or arithmetic (default: geometric)',
      oneOf('geometric', 'arithmetic'),
    )
    .option('--temperature <T>', 'softens both distributions', real(0, Number.MAX_VALUE, true), 4)
    .option('--hard-weight <a>', "share a of the labels' cross entropy: (1 − a)·T²·KL + a·CE", real(0, 1), 0)
    .option(
      '--loss <name>',
      'soft-target (default), or squared-probabilities: squared error on probabilities (Bucilă et al. 2006), with --teacher alone',
      oneOf('soft-target', 'squared-probabilities'),
    )
    .option(
      '--hint <hints>',
      `a tensor of the student meets one of the teacher: ${hintSyntax}; again for more, or with ; between (imago inspect --tensors lists names)`,
      (text: string, before: readonly Hint[] = []) => [...before, ...text.split(';').map(readHint)],
    )
    .option('--teacher-input <json>', 'how rows reach the teacher: {"name","layout","scale","mean","std"}', jsonObject)
    .option('--teacher-output <name>', "the teacher's output that classifies, where it has several")
    .option(
      '--isolate',
      'run teachers in a process of its own: what crashes or fills the memory there is an error, not the end',
    )
    .addHelpText(
      'after',
      `
Several teachers: the geometric mean is softmax(mean of the logits / T), the same ensemble at every temperature, so that the errors
that are counted (at T = 1) and the soft targets (at T) belong to one classifier. The arithmetic mean is that of the teachers'
probabilities, each teacher tempered at T first; at T = 1, where its errors are counted, it is another distribution.

Stored targets are those of the rows that the teacher saw: other data, or images that are moved anew in every epoch (--jitter without --views), are
refused. A store of k classes has the temperatures that it was filled for.

Hints are losses between hidden tensors, beside the soft targets: hint (FitNets, with a learned regressor), attention, fsp (two tensors with a comma on each side),
similarity, rkd, pkt, vid, crd. Without a weight each has that of the benchmark of Tian et al. 2020. What is learned beside the student is
in the checkpoint and not in student.onnx.

Examples:
  imago distill --teacher teacher.onnx --arch mlp:784-64-10 --temperature 4 --epochs 20 --out runs/student
  imago distill --teacher teacher.onnx --student student.onnx --data mnist --temperature 20 --out runs/mnist \\
    --teacher-input '{"layout":"NCHW"}' --student-input '{"mean":0.1307,"std":0.3081}'
  imago distill --teacher a.onnx,b.onnx,c.onnx --combine arithmetic --arch mlp:784-64-10 --out runs/from-three
  imago distill --teacher teacher.onnx --arch mlp:784-64-10 --hint 'hint*10:act1.output=/layer2/Relu_output_0' --out runs/hinted
  imago distill --targets targets/mnist --data mnist --arch mlp:784-64-10 --out runs/from-store
`,
    )
    .action(act(distillCommand))
}

/** `imago distill`; other commands that distil come here too. */
export async function distillCommand(context: Context, options: DistillCommandOptions): Promise<undefined> {
  return options.targets === undefined ? fromTeachers(context, options) : fromStores(context, options, options.targets)
}

async function fromTeachers(context: Context, options: DistillCommandOptions): Promise<undefined> {
  const loss = lossOf(options)
  const { hint: hints = [] } = options
  const teacher = needTeacher(options.teacher)
  const { predictor, targets, config } = await teachersOf(options, teacher)
  try {
    await trainingRun(context, options, {
      command: 'distill',
      config: {
        ...config,
        temperature: options.temperature,
        hardWeight: options.hardWeight,
      },
      teacher: predictor,
      taughtBy: [config.teacher].flat(),
      ...(hints.length > 0 && { hidden: hints.flatMap(({ student }) => student) }),
      fit: (pieces) => hinted(options, hints, loss, fromPredict(targets), pieces),
    })
  } finally {
    await predictor.dispose()
  }
}

/** `distill` with the hints as further terms of the loss. */
async function* hinted(
  options: DistillCommandOptions,
  hints: readonly Hint[],
  loss: Loss,
  targets: Targets,
  pieces: Omit<FitOptions, 'loss' | 'student'> & { readonly student: Student },
): AsyncGenerator<Report, Outcome> {
  if (hints.length === 0) return yield* distill({ ...pieces, targets, loss })
  const { terms, dispose } = await openHints(hints, {
    ...pieces,
    targets,
    rng: rng(options.seed).split('hints'),
    threads: options.threads,
  })
  try {
    return yield* distill({ ...pieces, targets, loss: weighted({ soft: [loss, 1], ...terms }) })
  } finally {
    await dispose()
  }
}

function lossOf({ loss, temperature, hardWeight }: DistillCommandOptions): Loss {
  if (loss !== 'squared-probabilities') return softTarget({ temperature, hardWeight })
  if (hardWeight > 0)
    throw new ArgumentError(
      'imago',
      '--hard-weight',
      'left out: squared errors of probabilities have no labels',
      hardWeight,
    )
  return squaredErrorOnProbabilities({ temperature })
}

/** The teacher, where it is given, counts errors; its digest has to be that of the store. */
async function fromStores(context: Context, options: DistillCommandOptions, targets: string): Promise<undefined> {
  if (options.loss !== undefined)
    throw new ArgumentError('imago', '--loss', 'left out with --targets: what is stored says which', options.loss)
  if (options.hint !== undefined)
    throw new ArgumentError('imago', '--hint', 'left out with --targets: a store holds no hidden tensors', '--hint')
  const { teacher, combine: _, ...rest } = options
  const teachers = teacher === undefined ? undefined : await teachersOf(teacher.includes(',') ? options : rest, teacher)
  try {
    const name = teachers && teacherName(teachers, options.temperature)
    const stored = await openTargets({ ...(teachers ? rest : options), targets }, name)
    try {
      await trainingRun(context, options, {
        command: 'distill',
        config: {
          ...stored.config,
          ...(name !== undefined && { teacher: name }),
          temperature: options.temperature,
          hardWeight: options.hardWeight,
        },
        ...(teachers && { teacher: teachers.predictor }),
        check: stored.check,
        taughtBy: stored.teachers,
        // A store is read as it is needed: never all of it is in memory.
        fit: (pieces) =>
          distill({
            ...pieces,
            ...readAhead({ data: pieces.data, targets: stored.targets }),
            loss: stored.loss,
            remember: false,
          }),
      })
    } finally {
      await stored.close()
    }
  } finally {
    await teachers?.predictor.dispose()
  }
}

function teachersOf(options: Omit<DistillCommandOptions, 'teacher'>, teacher: string): Promise<Teachers> {
  return openTeachers(
    { ...options, teacher },
    {
      threads: options.threads,
      ...(options.teacherInput && { map: options.teacherInput as InputMap }),
      ...(options.teacherOutput !== undefined && { output: options.teacherOutput }),
      ...(options.isolate && { isolate: true }),
      ...(options.hint && { also: options.hint.flatMap(({ teacher: names }) => names) }),
    },
  )
}
