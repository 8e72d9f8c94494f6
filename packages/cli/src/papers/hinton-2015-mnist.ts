import { hinton2015Mnist, hinton2015MnistTransfer } from '@imago/papers'
import { StateError } from '@imago/tensor'
import { mnistReport } from '../report/mnist-report.js'
import { mnistTransferReport } from '../report/mnist-transfer-report.js'
import { followRecipe } from '../run/follow-recipe.js'
import { openData } from '../run/open-data.js'
import { given } from './given.js'
import type { PaperRecipe } from './paper-recipe.js'

/** Options that the table has and the transfer sets of `--omit` and `--only` do not. */
const ofTheTable = ['selectionEpochs', 'optimizer', 'hardWeight'] as const

export const hinton2015MnistRecipe: PaperRecipe = {
  name: 'hinton-2015/mnist',
  about:
    'section 3: a teacher, a student on labels, the same student distilled; with --omit and --only, transfer sets without digits',
  reads: [
    'epochs',
    'teacherEpochs',
    'seeds',
    'rates',
    'selectionEpochs',
    'optimizer',
    'schedule',
    'temperature',
    'hardWeight',
    'ablation',
    'omit',
    'only',
  ],
  async run(context, options, runDir) {
    const { dataDir, ablation, omit, only } = options
    const transfer = omit !== undefined || only !== undefined
    const idle = transfer ? ofTheTable.find((name) => options[name] !== undefined) : undefined
    if (idle !== undefined)
      throw new StateError(`${idle} has no part in the transfer sets of --omit and --only`, 'Leave it out')
    const data = await openData(context, { data: 'mnist', ...(dataDir !== undefined && { dataDir }) })
    const common = {
      ...given(options, 'fast', 'threads', 'epochs', 'teacherEpochs', 'seeds', 'rates', 'schedule', 'temperature'),
      data,
      runDir,
      signal: context.signal,
      clock: context.now,
    }
    if (transfer) {
      const sets = { ...(omit && { omit }), ...(only && { only }) }
      const result = await followRecipe(hinton2015MnistTransfer({ ...common, ...sets }), context)
      return { result, report: mnistTransferReport(result), effects: result.effects, file: 'transfer' }
    }
    const result = await followRecipe(
      hinton2015Mnist({ ...common, ...given(options, ...ofTheTable), ...(ablation ? {} : { ablation }) }),
      context,
    )
    return { result, report: mnistReport(result), effects: result.effects }
  },
}
