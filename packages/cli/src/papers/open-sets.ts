import type { SpokenDigits, TrainTest } from '@imago/data'
import { NotFoundError } from '@imago/tensor'
import type { Context } from '../context.js'
import { openData } from '../run/open-data.js'
import { openSpokenDigits } from '../run/open-spoken-digits.js'
import type { PaperOptions } from './paper-recipe.js'

/** The data sets that `--data` names: `fsdd`, `mnist`; both where it is left out. */
export async function openSets(
  context: Context,
  { data = ['fsdd', 'mnist'], dataDir }: Pick<PaperOptions, 'data' | 'dataDir'>,
): Promise<{ digits?: SpokenDigits; images?: TrainTest }> {
  const strange = data.find((name) => name !== 'fsdd' && name !== 'mnist')
  if (strange !== undefined)
    throw new NotFoundError(`this recipe knows no data "${strange}"`, 'Give fsdd, mnist or both')
  return {
    ...(data.includes('fsdd') && { digits: await openSpokenDigits(context, dataDir) }),
    ...(data.includes('mnist') && {
      images: await openData(context, { data: 'mnist', ...(dataDir !== undefined && { dataDir }) }),
    }),
  }
}
