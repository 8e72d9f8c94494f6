import { ArgumentError, describe, NotFoundError, type Tensor, tensor } from '@imago/tensor'
import { type ColumnEncoder, encoderWidth, type TableEncoder, widthOf } from './encoder.js'
import type { Column } from './schema.js'
import { columnAt, type Table } from './table.js'

export interface EncodeOptions {
  /**
   * A nominal value that the encoder has never seen, or a missing one where it has seen none: refused (the default), or encoded as
   * nothing known (zeros; the mean of a standardised number).
   */
  readonly unseen?: 'refuse' | 'neutral' | undefined
}

/** Writes one row of a table to its place among the inputs. */
export type RowEncoder = (row: number, out: Float32Array, at: number) => void

/**
 * An encoder bound to a table: columns are met by name, values by their text.
 * @throws NotFoundError for a column that the table lacks, ArgumentError for one of another kind; the row encoder: ArgumentError
 */
export function rowEncoder(encoder: TableEncoder, source: Table, options: EncodeOptions = {}): RowEncoder {
  const { unseen = 'refuse' } = options
  let start = 0
  const writers = encoder.columns.map((column) => {
    const c = columnAt('encode', source.schema, column.name)
    const write = writer(column, source.schema.columns[c]!, source.columns[c]!, start, unseen === 'refuse')
    start += widthOf(column)
    return write
  })
  const width = start
  return (row, out, at) => {
    out.fill(0, at, at + width)
    for (const write of writers) write(row, out, at)
  }
}

/** The rows of a table as float32 [N, width]. */
export function encodeTable(encoder: TableEncoder, source: Table, options: EncodeOptions = {}): Tensor<'float32'> {
  const width = encoderWidth(encoder)
  const encode = rowEncoder(encoder, source, options)
  const out = new Float32Array(source.length * width)
  for (let row = 0; row < source.length; row++) encode(row, out, row * width)
  return tensor('float32', [source.length, width], out)
}

/**
 * Records as they come to a server, `{ age: 39, workclass: 'Private' }`, as inputs float32 [N, width]. What is null, undefined or
 * not there is missing.
 *
 * @throws ArgumentError naming the record and the column: a value of the wrong type, or one that was never seen
 */
export function encodeRecords(
  encoder: TableEncoder,
  records: readonly { readonly [column: string]: unknown }[],
  options: EncodeOptions = {},
): Tensor<'float32'> {
  const width = encoderWidth(encoder)
  const out = new Float32Array(records.length * width)
  for (const [r, record] of records.entries()) {
    let at = r * width
    for (const column of encoder.columns) {
      const value = Object.hasOwn(record, column.name) ? record[column.name] : undefined
      put(column, value ?? undefined, () => `records[${r}].${column.name}`, out, at, options.unseen !== 'neutral')
      at += widthOf(column)
    }
  }
  return tensor('float32', [records.length, width], out)
}

/** The class of each row, −1 where the label is missing or the table has no such column. */
export function encodeLabels(encoder: TableEncoder, source: Table): Int32Array | undefined {
  const { label } = encoder
  if (label === undefined) throw new NotFoundError('encodeLabels: the encoder has no label', 'Fit it with one')
  const c = source.schema.columns.findIndex(({ name }) => name === label.name)
  const column = source.schema.columns[c]
  if (column === undefined) return undefined
  if (column.kind !== 'nominal') throw wrongKind(label.name, 'nominal')
  const classes = column.values.map((value) => label.values.indexOf(value))
  return Int32Array.from(source.columns[c]! as Int32Array, (code, row) => {
    if (code === -1) return -1
    if (classes[code]! >= 0) return classes[code]!
    throw neverSeen(`${label.name}[${row}]`, column.values[code]!, label.values)
  })
}

function writer(
  encoder: ColumnEncoder,
  column: Column,
  cells: ArrayLike<number>,
  start: number,
  refuse: boolean,
): RowEncoder {
  if (encoder.kind !== column.kind) throw wrongKind(encoder.name, encoder.kind)
  const where = (row: number): string => `${encoder.name}[${row}]`
  if (column.kind === 'continuous')
    return (row, out, at) => {
      const x = cells[row]!
      put(encoder, Number.isNaN(x) ? undefined : x, () => where(row), out, at + start, refuse)
    }
  const places = column.values.map((value) => (encoder as { values: readonly string[] }).values.indexOf(value))
  return (row, out, at) => {
    const code = cells[row]!
    const place = code < 0 ? -1 : places[code]!
    if (place >= 0) out[at + start + place] = 1
    else put(encoder, code < 0 ? undefined : column.values[code], () => where(row), out, at + start, refuse)
  }
}

/** Write one value, undefined for missing, to its inputs, which are 0. */
function put(
  encoder: ColumnEncoder,
  value: unknown,
  where: () => string,
  out: Float32Array,
  at: number,
  refuse: boolean,
): void {
  if (value === undefined) {
    if (encoder.indicator) out[at + widthOf(encoder) - 1] = 1
    else if (refuse)
      throw new ArgumentError('encode', where(), 'known: no value of this column was missing in training', 'missing')
    return
  }
  if (encoder.kind === 'continuous') {
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw new ArgumentError('encode', where(), 'a finite number', value)
    out[at] = (value - encoder.shift) / encoder.scale
    return
  }
  if (typeof value !== 'string') throw new ArgumentError('encode', where(), 'a text', value)
  const place = encoder.values.indexOf(value)
  if (place >= 0) out[at + place] = 1
  else if (refuse) throw neverSeen(where(), value, encoder.values)
}

function neverSeen(where: string, value: string, values: readonly string[]): ArgumentError {
  const known = values.length > 6 ? `${values.slice(0, 6).join(', ')}, …` : values.join(', ')
  return new ArgumentError('encode', where, `one of the ${values.length} values seen in training (${known})`, value)
}

function wrongKind(name: string, kind: string): ArgumentError {
  return new ArgumentError('encode', `column ${describe(name)}`, `${kind}, as it was in training`, 'of the other kind')
}
