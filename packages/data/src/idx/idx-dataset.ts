import { FormatError, type Tensor, tensor } from '@imago/tensor'
import type { Dataset } from '../batch.js'
import { dataset } from '../dataset.js'
import type { DataSource } from '../io/open-source.js'
import { readIdx } from './read-idx.js'

export interface ImageOptions {
  /** The name of the model input; `input` if left out. */
  readonly input?: string
  /** Dims of a row: `[784]` or `[1, 28, 28]`; one flat row if left out. */
  readonly shape?: readonly number[]
  /** The factor from stored value to float32; 1/255 for uint8 and 1 for other types if left out (int64 stays int64). */
  readonly scale?: number
  readonly classes?: number
}

/**
 * A data set from a pair of IDX files, images and labels (or images alone, for a transfer set).
 *
 * @throws FormatError where the counts differ or a label is no class, with the offset
 */
export async function idxDataset(
  images: DataSource,
  labels?: DataSource,
  options: ImageOptions = {},
): Promise<Dataset> {
  const pixels = await readIdx(images)
  if (labels === undefined) return imageDataset(pixels, undefined, options)
  const classes = await readIdx(labels)
  const name = nameOf(labels)
  if (classes.dims.length !== 1 || classes.dims[0] !== pixels.dims[0])
    throw new FormatError(
      `${name}, byte 4`,
      `has labels [${classes.dims.join(', ')}] for ${pixels.dims[0]} images in ${nameOf(images)}`,
    )
  const width = (classes.data as Uint8Array).BYTES_PER_ELEMENT
  const values = classes.data as ArrayLike<number>
  const limit = options.classes ?? 2 ** 31
  for (let row = 0; row < values.length; row++) {
    const label = values[row]!
    if (!Number.isInteger(label) || label < -1 || label >= limit)
      throw new FormatError(
        `${name}, byte ${8 + row * width}`,
        `label ${label} of row ${row} is not a class in [0, ${limit})`,
      )
  }
  return imageDataset(pixels, classes, options)
}

/** A data set over images [N, ...] in memory, rows shaped and scaled as the options say. */
export function imageDataset(pixels: Tensor, labels: Tensor | undefined, options: ImageOptions): Dataset {
  const { input = 'input' } = options
  const count = pixels.dims[0] ?? 0
  const flat = pixels.dims.slice(1).reduce((a, b) => a * b, 1)
  const shaped = { ...tensor(pixels.type, [count, ...(options.shape ?? [flat])], pixels.data) } as Tensor
  const scale =
    options.scale ?? (pixels.type === 'uint8' ? 1 / 255 : typeof pixels.data[0] === 'bigint' ? undefined : 1)
  return dataset({
    inputs: { [input]: shaped },
    ...(scale === undefined ? {} : { scale }),
    ...(labels === undefined ? {} : { labels }),
    ...(options.classes === undefined ? {} : { classes: options.classes }),
  })
}

const nameOf = (source: DataSource): string => (source instanceof Uint8Array ? 'bytes' : String(source))
