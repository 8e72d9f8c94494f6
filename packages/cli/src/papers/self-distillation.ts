import { selfDistillation } from '@imago/papers'
import { selfDistillationReport } from '../report/self-distillation-report.js'
import { followRecipe } from '../run/follow-recipe.js'
import { openData } from '../run/open-data.js'
import { given } from './given.js'
import type { PaperRecipe } from './paper-recipe.js'

export const selfDistillationRecipe: PaperRecipe = {
  name: 'self-distillation',
  about:
    'without a larger teacher: mutual learning, born-again nets, teacher-free, mean teacher, each beside labels; --data embedded',
  reads: ['data', 'epochs', 'seeds', 'rates', 'hidden'],
  async run(context, options, runDir) {
    const { rates, data = ['embedded'], dataDir } = options
    const result = await followRecipe(
      selfDistillation({
        ...given(options, 'fast', 'threads', 'epochs', 'seeds', 'hidden'),
        ...(rates && { rate: rates[0]! }),
        data: await openData(context, { data: data.join(','), ...(dataDir !== undefined && { dataDir }) }),
        runDir,
        signal: context.signal,
        clock: context.now,
      }),
      context,
    )
    return { result, report: selfDistillationReport(result), effects: result.effects }
  },
}
