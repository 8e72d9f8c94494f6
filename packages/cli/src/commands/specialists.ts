import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { NotFoundError } from '@imago/tensor'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import { addDataOptions, addOptimizerOptions, addTrainingOptions, type TrainingOptions } from '../options.js'
import { type CombineOptions, combineCommand, combinedFile } from '../specialists/combine.js'
import { type PlanOptions, planCommand } from '../specialists/plan.js'
import { type TrainOptions, trainCommand } from '../specialists/train.js'
import { jsonObject, oneOf, real, whole, words } from '../values.js'
import { distillCommand } from './distill.js'

interface DistillOptions extends TrainingOptions {
  readonly generalist: string
  readonly plan: string
  readonly temperature: number
  readonly hardWeight: number
}

export function addSpecialists(program: Command, act: Act): void {
  const group = program
    .command('specialists')
    .description(
      'confusable classes, specialists for them, and back into one net (Hinton, Vinyals & Dean 2015, section 5)',
    )
    .addHelpText(
      'after',
      `
Examples:
  imago specialists plan --generalist g.onnx --data mnist --count 3 --size 4 --out runs/sp
  imago specialists train --generalist g.onnx --data mnist --plan runs/sp --epochs 10
  imago specialists combine --generalist g.onnx --data mnist --plan runs/sp
  imago specialists distill --generalist g.onnx --data mnist --plan runs/sp --epochs 10 --out runs/back
`,
    )
  addPlan(group, act)
  addTrainSpecialists(group, act)
  addCombine(group, act)
  addDistillBack(group, act)
}

const generalist = ['--generalist <file>', 'the .onnx classifier that knows all classes'] as const
const plan = ['--plan <folder>', 'what imago specialists plan has made'] as const

function addPlan(group: Command, act: Act): void {
  const command = addDataOptions(
    group.command('plan').description('which classes the generalist confuses, and a specialist for each set of them'),
  )
    .requiredOption(...generalist)
    .requiredOption('--out <folder>', 'the plan: sets, report, and specialists that begin as the generalist')
    .requiredOption('--count <n>', 'clusters of classes', whole(1))
    .option(
      '--size <n>',
      'classes in each set, the nearest to a centroid (default: the clusters, a partition)',
      whole(2),
    )
    .option(
      '--columns <matrix>',
      'what is clustered: columns of the covariance or of the correlation matrix of the predictions',
      oneOf('covariance', 'correlation'),
      'covariance',
    )
    .option(
      '--head <kind>',
      'dustbin: outputs for the set and one for all others; full: all classes (section 6.1)',
      oneOf('dustbin', 'full'),
      'dustbin',
    )
    .option('--restarts <n>', 'clusterings, of which the best is taken', whole(1), 8)
    .option('--sample <rows>', "rows that the dustbin's first mass is fitted on", whole(1), 2000)
    .option('--names <file|a,b,…>', 'what the classes are called: a file with a name on each line, or names')
    .option('--seed <n>', 'where all randomness comes from', whole(0), 1)
    .option('--input <json>', 'how rows reach the models: {"name","layout","scale","mean","std"}', jsonObject)
    .option('--output <name>', "the generalist's output that classifies, where it has several")
  shown(command).action(act<PlanOptions>(planCommand))
}

function addTrainSpecialists(group: Command, act: Act): void {
  const command = addDataOptions(group.command('train').description('train the specialists of a plan'))
    .requiredOption(...generalist)
    .requiredOption(...plan)
    .option(
      '--workers <n>',
      'specialists that are trained at a time, each in a process of its own (default: processors / threads)',
      whole(1),
    )
    .option('--only <sets>', 'these alone: set-1,set-3', words)
    .option(
      '--epochs <n>',
      "passes over a specialist's rows, at most: each special row once, and as many others",
      whole(1),
      20,
    )
    .option('--patience <epochs>', 'stop after so many epochs without fewer errors on held-out rows', whole(1))
    .option('--validation <rows>', 'rows held out: a number, or a share below 1', real(0, Number.MAX_VALUE, true), 0.1)
    .option('--batch <rows>', 'rows a step', whole(1), 100)
    .option('--seed <n>', 'where all randomness comes from', whole(0), 1)
  shown(addOptimizerOptions(command), 1)
    .addHelpText(
      'after',
      `
Each specialist has a folder of its own in the plan's, and goes on where it was stopped; one that fails costs the others nothing.
`,
    )
    .action(act<TrainOptions>(trainCommand))
}

function addCombine(group: Command, act: Act): void {
  const command = addDataOptions(
    group
      .command('combine')
      .description('generalist and specialists as one distribution (eq. 5), counted on test rows'),
  )
    .requiredOption(...generalist)
    .requiredOption(...plan)
    .option(
      '--top-n <n>',
      "ask a specialist where its set has one of the generalist's n most probable classes",
      whole(1),
      1,
    )
  shown(command)
    .addHelpText(
      'after',
      `
Leaves combined.json in the plan's folder: a teacher for imago distill --teacher and imago teach --teacher.
`,
    )
    .action(act<CombineOptions>(combineCommand))
}

function addDistillBack(group: Command, act: Act): void {
  addTrainingOptions(group.command('distill').description('generalist and specialists back into one net'))
    .requiredOption(...generalist)
    .requiredOption(...plan)
    .option('--temperature <T>', 'softens both distributions', real(0, Number.MAX_VALUE, true), 2)
    .option('--hard-weight <a>', "share a of the labels' cross entropy: (1 − a)·T²·KL + a·CE", real(0, 1), 0)
    .addHelpText('after', '\nThe student begins as the generalist unless --student or --arch says otherwise.\n')
    .action(
      act<DistillOptions>((context, { generalist: file, plan: folder, ...options }) => {
        const teacher = join(folder, combinedFile)
        if (!existsSync(teacher))
          throw new NotFoundError(`There is no ${teacher}`, 'Run imago specialists combine first')
        const isNamed = options.student !== undefined || options.arch !== undefined
        return distillCommand(context, { ...options, teacher, ...(isNamed ? {} : { student: file }) })
      }),
    )
}

function shown(command: Command, threads = 2): Command {
  return command
    .option('--threads <n>', 'threads of ONNX Runtime', whole(1), threads)
    .option('--config <file>', 'options from a .json or .mjs file, in camelCase; the command line wins')
    .option('--json', 'print the result as JSON')
    .option('--quiet', 'no progress')
}
