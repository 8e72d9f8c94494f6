import { join } from 'node:path'
import { FormatError } from '@imago/tensor'
import type { Dataset } from '../batch.js'
import { smallTable } from '../csv/small-table.js'
import { type ImageOptions, idxDataset } from '../idx/idx-dataset.js'
import { readIdx } from '../idx/read-idx.js'
import { findFolder } from '../io/find-folder.js'

export interface OmniglotOptions extends Omit<ImageOptions, 'classes'> {
  /** The files lie in it, in its `omniglot` or in its `data/omniglot`. */
  readonly dataDir?: string
  /** Pixels a side: 28 (averaged) or 105 (the original); default 28. */
  readonly size?: 28 | 105
}

/** Every character of the background set, drawn once by each of twenty people. */
export interface Omniglot {
  /** Rows in the order of their characters, of one character in the order of who drew it. */
  readonly images: Dataset
  /** Who drew each row, `[N]`: what to split by, as hands differ more than two drawings of one hand. */
  readonly drawers: Uint8Array
  /** The alphabet of each class, `[C]`. */
  readonly alphabets: Uint8Array
  /** Of alphabets. */
  readonly names: readonly string[]
}

/**
 * Omniglot's background set (Lake, Salakhutdinov & Tenenbaum 2015): 964 characters of 30 alphabets by twenty drawers, as float32 rows in [0, 1].
 *
 * @throws NotFoundError saying where it was looked for, FormatError naming the file that does not fit the others
 */
export async function omniglot(options: OmniglotOptions = {}): Promise<Omniglot> {
  const { dataDir, size = 28, ...images } = options
  const file = `background-images${size}-idx3-ubyte.gz`
  const folder = await findFolder(dataDir, { name: 'omniglot', file, what: 'handwritten characters' })
  const at = (name: string): string => join(folder, `background-${name}`)
  const path = at('alphabets.csv')
  const lines = await smallTable(path, ['alphabet', 'name', 'first_label', 'last_label', 'classes'])
  const names = lines.map(([, name]) => name!)
  const of: number[] = []
  for (const [i, [alphabet, , first, last, classes]] of lines.entries()) {
    const count = Number(classes)
    const fits = Number(alphabet) === i && Number(first) === of.length && Number(last) === of.length + count - 1
    if (!(fits && Number.isSafeInteger(count) && count > 0))
      throw new FormatError(`${path}, line ${i + 2}`, `must be alphabet ${i}, with labels from ${of.length} on`)
    for (let k = 0; k < count; k++) of.push(i)
  }
  const rows = await idxDataset(join(folder, file), at('labels-idx1-short.gz'), { ...images, classes: of.length })
  const drawers = await readIdx(at('drawers-idx1-ubyte.gz'))
  if (drawers.type !== 'uint8' || drawers.dims.length !== 1 || drawers.dims[0] !== rows.length)
    throw new FormatError(
      at('drawers-idx1-ubyte.gz'),
      `must hold uint8 [${rows.length}], holds ${drawers.type} [${drawers.dims.join(', ')}]`,
    )
  return { images: rows, drawers: drawers.data as Uint8Array, alphabets: Uint8Array.from(of), names }
}
