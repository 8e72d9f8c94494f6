import { type BucilaProblem, bucila2006, bucilaProblems } from '@imago/papers'
import { ArgumentError, NotFoundError } from '@imago/tensor'
import { bucilaReport } from '../report/bucila-report.js'
import { followRecipe } from '../run/follow-recipe.js'
import type { PaperRecipe } from './paper-recipe.js'

export const bucila2006Recipe: PaperRecipe = {
  name: 'bucila-2006',
  about: 'an ensemble selected from a library of nets, and one small net that mimics it on rows that MUNGE makes',
  reads: ['problems', 'points', 'members', 'steps'],
  async run(context, options, runDir) {
    const { dataDir: given, problems, points, members, steps, fast, threads } = options
    const unknown = problems?.find((name) => !(bucilaProblems as readonly string[]).includes(name))
    if (unknown !== undefined)
      throw new ArgumentError('imago', '--problems', `some of ${bucilaProblems.join(', ')}`, unknown)
    const dataDir = given ?? context.env.IMAGO_DATA_DIR
    if (dataDir === undefined)
      throw new NotFoundError(
        'bucila-2006 needs its data sets',
        'Give --data-dir (or IMAGO_DATA_DIR), a folder with adult, covertype and letter (or with data that has them)',
      )
    const result = await followRecipe(
      bucila2006({
        threads,
        ...(fast && { fast }),
        ...(points && { points }),
        ...(members !== undefined && { members }),
        ...(steps !== undefined && { steps }),
        ...(problems && { problems: problems as BucilaProblem[] }),
        dataDir,
        runDir,
        signal: context.signal,
        clock: context.now,
      }),
      context,
    )
    return { result, report: bucilaReport(result), effects: result.effects }
  },
}
