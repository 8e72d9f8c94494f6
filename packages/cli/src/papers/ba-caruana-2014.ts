import { baCaruana2014 } from '@imago/papers'
import { baCaruanaReport } from '../report/ba-caruana-report.js'
import { followRecipe } from '../run/follow-recipe.js'
import { given } from './given.js'
import { openSets } from './open-sets.js'
import type { PaperRecipe } from './paper-recipe.js'

export const baCaruana2014Recipe: PaperRecipe = {
  name: 'ba-caruana-2014',
  about: 'a shallow net on labels, on the logits of deep nets, and on their soft targets; --data fsdd,mnist',
  reads: ['data', 'epochs', 'studentEpochs', 'seeds', 'rates', 'temperatures', 'members'],
  async run(context, options, runDir) {
    const result = await followRecipe(
      baCaruana2014({
        ...given(options, 'fast', 'threads', 'epochs', 'studentEpochs', 'seeds', 'rates', 'temperatures', 'members'),
        ...(await openSets(context, options)),
        runDir,
        signal: context.signal,
        clock: context.now,
      }),
      context,
    )
    return { result, report: baCaruanaReport(result), effects: result.effects }
  },
}
