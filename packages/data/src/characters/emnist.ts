import { join } from 'node:path'
import { FormatError } from '@imago/tensor'
import { smallTable } from '../csv/small-table.js'
import { type ImageOptions, idxDataset } from '../idx/idx-dataset.js'
import { findFolder } from '../io/find-folder.js'
import { findIdx } from '../open/find-idx.js'
import type { TrainTest } from '../train-test.js'

export interface EmnistOptions extends Omit<ImageOptions, 'classes'> {
  /** The files lie in it, in its `emnist-byclass` or in its `data/emnist-byclass`. */
  readonly dataDir?: string
}

/** Images of characters, and which character each class is. */
export interface Characters extends TrainTest {
  readonly names: readonly string[]
}

/**
 * EMNIST ByClass (Cohen, Afshar, Tapson & van Schaik 2017): handwritten digits and letters, upright, 28×28, in 62 classes many of which look alike
 * (0 O o, 1 I l …), as float32 rows in [0, 1]. A folder with `train-` and `test-` images and labels as IDX files, and `classes.csv`, which names the
 * classes: `label,character`.
 *
 * @throws NotFoundError saying where it was looked for, FormatError naming the file and line
 */
export async function emnist(options: EmnistOptions = {}): Promise<Characters> {
  const { dataDir, ...images } = options
  const folder = await findFolder(dataDir, { name: 'emnist-byclass', file: 'classes.csv', what: 'EMNIST ByClass' })
  const path = join(folder, 'classes.csv')
  const names = (await smallTable(path, ['label', 'character'])).map(([label, character], i) => {
    if (label !== String(i)) throw new FormatError(`${path}, line ${i + 2}`, `must name class ${i}, names "${label}"`)
    return character!
  })
  const { train, test } = await findIdx(folder)
  const open = (part: typeof train): ReturnType<typeof idxDataset> => {
    if (part.labels === undefined) throw new FormatError(folder, `has no labels for ${part.images}`)
    return idxDataset(part.images, part.labels, { ...images, classes: names.length })
  }
  if (test === undefined) throw new FormatError(folder, 'has no test images and labels beside the training ones')
  return { train: await open(train), test: await open(test), names }
}
