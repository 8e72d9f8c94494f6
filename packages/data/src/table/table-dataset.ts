import { ArgumentError, tensor, tensorMap } from '@imago/tensor'
import type { Dataset } from '../batch.js'
import { checkIndices } from '../dataset.js'
import { type EncodeOptions, encodeLabels, rowEncoder } from './encode.js'
import { encoderWidth, type TableEncoder } from './encoder.js'
import type { Table } from './table.js'

export interface TableDatasetOptions extends EncodeOptions {
  /** The name of the model's input; `input` unless given. */
  readonly input?: string | undefined
}

/**
 * The rows of a table as a data set: inputs float32 [N, width], encoded when they are taken, and labels where encoder and table
 * have the column. Every row is encoded once at the door, so that what cannot be is found before an epoch begins.
 *
 * @throws ArgumentError for a value that the encoder has never seen, with column and row
 */
export function tableDataset(source: Table, encoder: TableEncoder, options: TableDatasetOptions = {}): Dataset {
  const { input = 'input' } = options
  const width = encoderWidth(encoder)
  if (source.length === 0) throw new ArgumentError('tableDataset', 'source', 'a table with at least one row', 0)
  const encode = rowEncoder(encoder, source, options)
  const probe = new Float32Array(width)
  for (let row = 0; row < source.length; row++) encode(row, probe, 0)
  const labels = encoder.label && encodeLabels(encoder, source)
  return {
    length: source.length,
    ...(labels && encoder.label && { classes: encoder.label.values.length }),
    rows(indices) {
      checkIndices(indices, source.length)
      const out = new Float32Array(indices.length * width)
      for (let i = 0; i < indices.length; i++) encode(indices[i]!, out, i * width)
      const inputs = tensorMap([[input, tensor('float32', [indices.length, width], out)]])
      return labels === undefined
        ? { ids: indices.slice(), inputs }
        : { ids: indices.slice(), inputs, labels: Int32Array.from(indices, (index) => labels[index]!) }
    },
  }
}
