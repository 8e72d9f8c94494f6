import { hinton2015Speech } from '@imago/papers'
import { speechReport } from '../report/speech-report.js'
import { followRecipe } from '../run/follow-recipe.js'
import { openSpokenDigits } from '../run/open-spoken-digits.js'
import { given } from './given.js'
import type { PaperRecipe } from './paper-recipe.js'

export const hinton2015SpeechRecipe: PaperRecipe = {
  name: 'hinton-2015/speech',
  about: 'section 4: ten acoustic models, their ensemble, one net of their size distilled from it',
  reads: ['epochs', 'studentEpochs', 'hidden', 'members', 'temperatures', 'hardWeight', 'rates', 'students', 'splits'],
  async run(context, options, runDir) {
    const { rates, dataDir } = options
    const result = await followRecipe(
      hinton2015Speech({
        ...given(
          options,
          'fast',
          'threads',
          'epochs',
          'studentEpochs',
          'hidden',
          'members',
          'temperatures',
          'hardWeight',
          'students',
          'splits',
        ),
        ...(rates && { rate: rates[0]! }),
        digits: await openSpokenDigits(context, dataDir),
        runDir,
        signal: context.signal,
        clock: context.now,
      }),
      context,
    )
    return { result, report: speechReport(result), effects: result.effects }
  },
}
