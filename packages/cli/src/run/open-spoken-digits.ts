import { fsdd, type SpokenDigits } from '@imago/data'
import type { Context } from '../context.js'

/** The spoken digits in `--data-dir`, else in IMAGO_DATA_DIR; they are not downloaded. */
export function openSpokenDigits({ env }: Context, dataDir: string | undefined): Promise<SpokenDigits> {
  const folder = dataDir ?? env.IMAGO_DATA_DIR
  return fsdd(folder === undefined ? {} : { dataDir: folder })
}
