import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FormatError, NotFoundError } from '@imago/tensor'

/** Paths of one part of a data set; labels may be missing in a transfer set. */
export interface IdxPair {
  readonly images: string
  readonly labels?: string
}

const inputs = /images|features|data/
const answers = /labels/
const idx = /(\.idx|ubyte|-short)(\.gz)?$/

/**
 * The IDX files in a folder by the names that the MNIST family uses: train-images*, train-labels*, and t10k-* or test-* for the test
 * part. `features` may stand for `images`.
 *
 * @throws NotFoundError where there is no training part, FormatError where two files claim one part
 */
export async function findIdx(folder: string): Promise<{ train: IdxPair; test?: IdxPair }> {
  const names = (await readdir(folder)).filter((name) => idx.test(name)).sort()
  const train = pair(folder, names, /^train/)
  const test = pair(folder, names, /^(t10k|test)/)
  if (train === undefined)
    throw new NotFoundError(
      `There are no IDX training files in ${folder}`,
      'It must hold train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz, or files named like them',
    )
  return test === undefined ? { train } : { train, test }
}

function pair(folder: string, names: readonly string[], part: RegExp): IdxPair | undefined {
  const images = only(folder, names, part, inputs)
  const labels = only(folder, names, part, answers)
  if (images === undefined) return undefined
  return labels === undefined ? { images } : { images, labels }
}

function only(folder: string, names: readonly string[], part: RegExp, kind: RegExp): string | undefined {
  const found = names.filter((name) => part.test(name) && kind.test(name.replace(/^(train|t10k|test)/, '')))
  if (found.length > 1)
    throw new FormatError(folder, `${found.join(' and ')} both could be the one that counts: leave one of them there`)
  return found[0] === undefined ? undefined : join(folder, found[0])
}
