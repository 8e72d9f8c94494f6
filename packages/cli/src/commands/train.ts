import { hardLabel } from '@imago/losses'
import { train } from '@imago/trainer'
import type { Command } from 'commander'
import type { Act } from '../act.js'
import { addTrainingOptions, type TrainingOptions } from '../options.js'
import { trainingRun } from '../run/training-run.js'
import { fraction } from '../values.js'

export function addTrain(program: Command, act: Act): void {
  addTrainingOptions(program.command('train').description('train a student on hard labels'))
    .option('--smoothing <x>', 'label smoothing', fraction, 0)
    .addHelpText(
      'after',
      `
Examples:
  imago train --arch mlp:784-64-10 --epochs 20 --out runs/plain
  imago train --student student.onnx --data mnist --optimizer sgd --rate 0.1 --schedule cosine --jitter 2 --out runs/mnist
`,
    )
    .action(
      act<TrainingOptions & { smoothing: number }>((context, options) =>
        trainingRun(context, options, {
          command: 'train',
          config: { smoothing: options.smoothing },
          fit: (pieces) => train({ ...pieces, loss: hardLabel({ smoothing: options.smoothing }) }),
        }),
      ),
    )
}
