import { stat } from 'node:fs/promises'
import { FormatError, NotFoundError, type Rng, rng as seeded } from '@imago/tensor'
import type { Dataset } from '../batch.js'
import { type DigitsOptions, digits } from '../digits/digits.js'
import { type ImageOptions, idxDataset } from '../idx/idx-dataset.js'
import { type MnistOptions, mnist } from '../mnist/mnist.js'
import { split } from '../split.js'
import type { TrainTest } from '../train-test.js'
import { findIdx } from './find-idx.js'
import { npzDatasets } from './npz-datasets.js'

export interface OpenDatasetOptions extends ImageOptions, Omit<MnistOptions, keyof ImageOptions> {
  /** What `embedded` draws. */
  readonly digits?: Pick<DigitsOptions, 'seed' | 'train' | 'test' | 'hardness'>
  /** Share of the rows (or number) held out for the test where the source has no test part; 1/6 if left out. */
  readonly holdOut?: number
  /** Chooses the rows held out; seed 1 if left out. */
  readonly rng?: Rng
}

/**
 * The data set that a name or a path stands for: `embedded` (the drawn digits), `mnist`, a .npz with `x` and `y` (also `images`
 * and `labels`; `x_train` … `y_test`), a folder of IDX files (train-*, t10k-* or test-*), or `IMAGES,LABELS`, a pair of IDX files.
 *
 * @throws NotFoundError, FormatError, ArgumentError
 */
export async function openDataset(source: string, options: OpenDatasetOptions = {}): Promise<TrainTest> {
  const images = imageOptions(options)
  if (source === 'embedded') {
    const { classes: _, ...rest } = images
    return digits({ ...options.digits, ...rest })
  }
  if (source === 'mnist') return mnist(options)
  const parts = await openPath(source, images)
  if (parts.test !== undefined) return { train: parts.train, test: parts.test }
  const random = options.rng ?? seeded(1)
  const { train, validation } = split(parts.train, { validation: options.holdOut ?? 1 / 6, rng: random })
  return { train, test: validation }
}

/**
 * All rows that a name or a path stands for that are no test part: what `openDataset` opens, with nothing held out. For transfer sets.
 *
 * @throws NotFoundError, FormatError, ArgumentError
 */
export async function openRows(source: string, options: OpenDatasetOptions = {}): Promise<Dataset> {
  if (source === 'embedded' || source === 'mnist') return (await openDataset(source, options)).train
  return (await openPath(source, imageOptions(options))).train
}

interface Parts {
  readonly train: Dataset
  readonly test?: Dataset
}

async function openPath(path: string, images: ImageOptions): Promise<Parts> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) {
    const [pixels, labels, ...more] = path.split(',')
    if (labels !== undefined && more.length === 0) return { train: await idxDataset(pixels!, labels, images) }
    throw new NotFoundError(
      `There is no data set ${path}`,
      'Give `embedded`, `mnist`, a .npz file, a folder of IDX files, or IMAGES,LABELS as two IDX files',
    )
  }
  if (found.isDirectory()) return idxFolder(path, images)
  if (path.endsWith('.npz')) return npzDatasets(path, images)
  if (/\.(gz|idx|idx\d)$|ubyte$/.test(path)) return { train: await idxDataset(path, undefined, images) }
  throw new FormatError(path, 'is neither a .npz file nor an IDX file (.idx, .gz, -ubyte) nor a folder of them')
}

async function idxFolder(folder: string, images: ImageOptions): Promise<Parts> {
  const { train, test } = await findIdx(folder)
  const first = await idxDataset(train.images, train.labels, images)
  if (test === undefined) return { train: first }
  // The test set must not have fewer classes than the training set only because its last class is missing there.
  const classes = images.classes ?? first.classes
  const options = classes === undefined ? images : { ...images, classes }
  return { train: first, test: await idxDataset(test.images, test.labels, options) }
}

function imageOptions({ input, shape, scale, classes }: ImageOptions): ImageOptions {
  const chosen = Object.entries({ input, shape, scale, classes }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(chosen) as ImageOptions
}
