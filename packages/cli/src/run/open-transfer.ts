import { type Dataset, openRows, unlabelled } from '@imago/data'
import { NotFoundError } from '@imago/tensor'

/**
 * Rows that join the training rows without their labels: a name, a .npz, IDX files, as `--data` takes them. Test parts stay out.
 *
 * @throws NotFoundError naming the option, and what the data set's reader throws
 */
export async function openTransfer(source: string, options: Parameters<typeof openRows>[1]): Promise<Dataset> {
  try {
    return unlabelled(await openRows(source, options))
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error
    throw new NotFoundError(`--transfer: ${error.message}`, 'It takes what --data takes', { cause: error })
  }
}
