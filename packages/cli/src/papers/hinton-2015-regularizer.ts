import { hinton2015Regularizer } from '@imago/papers'
import { regularizerReport } from '../report/regularizer-report.js'
import { followRecipe } from '../run/follow-recipe.js'
import { given } from './given.js'
import { openSets } from './open-sets.js'
import type { PaperRecipe } from './paper-recipe.js'

export const hinton2015RegularizerRecipe: PaperRecipe = {
  name: 'hinton-2015/soft-targets-as-regularizer',
  about: 'section 6: a net on all labels, on 3 % of them, and on soft targets for the same 3 %; --data fsdd,mnist',
  reads: ['data', 'epochs', 'seeds', 'rates', 'temperatures'],
  async run(context, options, runDir) {
    const { rates } = options
    const result = await followRecipe(
      hinton2015Regularizer({
        ...given(options, 'fast', 'threads', 'epochs', 'seeds', 'temperatures'),
        ...(rates && { rate: rates[0]! }),
        ...(await openSets(context, options)),
        runDir,
        signal: context.signal,
        clock: context.now,
      }),
      context,
    )
    return { result, report: regularizerReport(result), effects: result.effects }
  },
}
