import { fromFloat16 } from '@imago/kernels'
import { FormatError, type Tensor, type TensorMap } from '@imago/tensor'
import type { Dataset } from '../batch.js'
import { type ImageOptions, imageDataset } from '../idx/idx-dataset.js'
import { readNpz } from '../npy/read-npz.js'

const inputs = { all: ['x', 'images'], train: ['x_train', 'train_images'], test: ['x_test', 'test_images'] }
const answers = { all: ['y', 'labels'], train: ['y_train', 'train_labels'], test: ['y_test', 'test_labels'] }

/**
 * The data sets in a .npz: `x` and `y` (or `images` and `labels`), or both parts as `x_train`, `y_train`, `x_test`, `y_test`.
 * Rows keep the shape that they were saved in.
 *
 * @throws FormatError where the arrays are called otherwise or do not fit together
 */
export async function npzDatasets(path: string, options: ImageOptions): Promise<{ train: Dataset; test?: Dataset }> {
  const arrays = await readNpz(path)
  const whole = part(path, arrays, 'all', options)
  if (whole !== undefined) return { train: whole }
  const train = part(path, arrays, 'train', options)
  if (train === undefined)
    throw new FormatError(
      path,
      `holds ${Object.keys(arrays).join(', ') || 'no arrays'}; x and y (or x_train …) are needed`,
    )
  const classes = options.classes ?? train.classes
  const test = part(path, arrays, 'test', classes === undefined ? options : { ...options, classes })
  return test === undefined ? { train } : { train, test }
}

function part(path: string, arrays: TensorMap, which: keyof typeof inputs, options: ImageOptions): Dataset | undefined {
  const x = named(arrays, inputs[which])
  if (x === undefined) return undefined
  const y = named(arrays, answers[which])
  if (x.dims.length === 0) throw new FormatError(path, 'its inputs are one number; rows are needed')
  if (y !== undefined && y.dims.join() !== `${x.dims[0]}`)
    throw new FormatError(path, `has labels [${y.dims.join(', ')}] for ${x.dims[0]} rows of inputs`)
  const pixels = x.type === 'float16' ? fromFloat16({ x }) : x
  return imageDataset(pixels, y, { shape: x.dims.slice(1), ...options })
}

function named(arrays: TensorMap, names: readonly string[]): Tensor | undefined {
  for (const name of names) if (arrays[name] !== undefined) return arrays[name]
  return undefined
}
