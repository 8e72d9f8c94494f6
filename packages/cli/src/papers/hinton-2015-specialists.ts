import { emnist, omniglot } from '@imago/data'
import { hinton2015Specialists } from '@imago/papers'
import { NotFoundError } from '@imago/tensor'
import { specialistsReport } from '../report/specialists-report.js'
import { followRecipe } from '../run/follow-recipe.js'
import { given } from './given.js'
import type { PaperRecipe } from './paper-recipe.js'

export const hinton2015SpecialistsRecipe: PaperRecipe = {
  name: 'hinton-2015/specialists',
  about: 'sections 5 and 6.1: specialists for confusable characters, and back into one net',
  reads: ['data', 'seeds'],
  async run(context, options, runDir) {
    const { data = ['emnist', 'omniglot'] } = options
    const folder = options.dataDir ?? context.env.IMAGO_DATA_DIR
    const from = folder === undefined ? {} : { dataDir: folder }
    const strange = data.find((name) => name !== 'emnist' && name !== 'omniglot')
    if (strange !== undefined)
      throw new NotFoundError(`this recipe knows no data "${strange}"`, 'Give emnist, omniglot or both')
    const result = await followRecipe(
      hinton2015Specialists({
        ...given(options, 'fast', 'threads', 'seeds'),
        ...(data.includes('emnist') && { emnist: await emnist(from) }),
        ...(data.includes('omniglot') && { omniglot: await omniglot(from) }),
        runDir,
        signal: context.signal,
        clock: context.now,
      }),
      context,
    )
    return { result, report: specialistsReport(result), effects: result.effects }
  },
}
