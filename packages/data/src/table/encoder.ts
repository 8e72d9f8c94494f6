import { ArgumentError, FormatError } from '@imago/tensor'
import { parseJson } from './schema.js'
import { columnAt, type Table } from './table.js'

/** (x − shift) / scale; where `indicator` is set another input is 1 for a missing value and 0 otherwise. Missing: 0. */
export interface ContinuousEncoder {
  readonly name: string
  readonly kind: 'continuous'
  readonly shift: number
  readonly scale: number
  readonly indicator: boolean
}

/** One input a value, 1 for the one that there is and 0 for the others; where `indicator` is set another one for missing. */
export interface NominalEncoder {
  readonly name: string
  readonly kind: 'nominal'
  readonly values: readonly string[]
  readonly indicator: boolean
}

export type ColumnEncoder = ContinuousEncoder | NominalEncoder

/**
 * How rows of a table become a model's inputs: what a student that was trained on a table needs to be served. Plain data;
 * `formatEncoder` makes the text of a file of it.
 */
export interface TableEncoder {
  /** In the order of the inputs. */
  readonly columns: readonly ColumnEncoder[]
  /** The column to be predicted and its values, in the order of the classes. */
  readonly label?: { readonly name: string; readonly values: readonly string[] }
}

export interface FitEncoderOptions {
  /** The nominal column to be predicted: it is no input. */
  readonly label?: string | undefined
  /** Continuous columns: to mean 0 and deviation 1 (the default), to [0, 1] by least and largest, or as they are. */
  readonly continuous?: 'standardise' | 'unit' | 'none' | undefined
}

/**
 * Learn an encoder from the rows to be trained on (never from test rows). A column that does not vary is shifted and not scaled. A
 * missing value has an input of its own where the column has one in these rows.
 *
 * @throws ArgumentError, NotFoundError for a label that is no nominal column
 */
export function fitEncoder(source: Table, options: FitEncoderOptions = {}): TableEncoder {
  const { label, continuous = 'standardise' } = options
  if (continuous !== 'standardise' && continuous !== 'unit' && continuous !== 'none')
    throw new ArgumentError('fitEncoder', 'continuous', 'standardise, unit or none', continuous)
  const columns = source.schema.columns.flatMap((column, c): ColumnEncoder[] => {
    if (column.name === label) return []
    const { name, kind } = column
    const cells = source.columns[c]!
    if (kind === 'nominal') return [{ name, kind, values: column.values, indicator: cells.includes(-1) }]
    const known = (cells as Float64Array).filter((x) => !Number.isNaN(x))
    const [shift, scale] = continuous === 'none' ? [0, 1] : continuous === 'unit' ? range(known) : moments(known)
    return [{ name, kind, shift, scale: scale > 0 ? scale : 1, indicator: known.length < cells.length }]
  })
  if (columns.length === 0)
    throw new ArgumentError('fitEncoder', 'source', 'a table with a column beside the label', label)
  if (label === undefined) return { columns }
  const column = source.schema.columns[columnAt('fitEncoder', source.schema, label)]!
  if (column.kind !== 'nominal')
    throw new ArgumentError(
      'fitEncoder',
      'label',
      'a nominal column (declare it so where its classes are numbers)',
      label,
    )
  return { columns, label: { name: label, values: column.values } }
}

/** How many inputs a row becomes. */
export function encoderWidth({ columns }: TableEncoder): number {
  return columns.reduce((sum, column) => sum + widthOf(column), 0)
}

/** What each input holds: `age`, `workclass=Private`, `workclass missing`. */
export function inputNames({ columns }: TableEncoder): string[] {
  return columns.flatMap((column) => [
    ...(column.kind === 'continuous' ? [column.name] : column.values.map((value) => `${column.name}=${value}`)),
    ...(column.indicator ? [`${column.name} missing`] : []),
  ])
}

export function widthOf(column: ColumnEncoder): number {
  return (column.kind === 'continuous' ? 1 : column.values.length) + (column.indicator ? 1 : 0)
}

/** The encoder as the text of a file. */
export function formatEncoder(encoder: TableEncoder): string {
  return `${JSON.stringify({ imago: 'table encoder', version: 1, ...encoder }, null, 2)}\n`
}

/** The encoder that a file's text describes. @throws FormatError naming the file and the field */
export function parseEncoder(text: string, name: string): TableEncoder {
  const { columns, label } = parseJson(text, name, 'table encoder')
  const refuse = (field: string, expected: string): never => {
    throw new FormatError(`${name}: ${field}`, `must be ${expected}`)
  }
  if (!Array.isArray(columns) || columns.length === 0) return refuse('columns', 'a list with at least one column')
  const isTexts = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every((one) => typeof one === 'string') && new Set(list).size === list.length
  const checked = columns.map((column: { readonly [field: string]: unknown } | null, i): ColumnEncoder => {
    const where = `columns[${i}]`
    const { name: called, kind, indicator } = (column ?? {}) as { readonly [field: string]: unknown }
    if (typeof called !== 'string') return refuse(`${where}.name`, 'a text')
    if (typeof indicator !== 'boolean') return refuse(`${where}.indicator`, 'true or false')
    if (kind === 'nominal') {
      const { values } = column!
      if (!isTexts(values)) return refuse(`${where}.values`, 'different texts')
      return { name: called, kind: 'nominal', values, indicator }
    }
    if (kind !== 'continuous') return refuse(`${where}.kind`, 'continuous or nominal')
    const { shift, scale } = column as { shift: number; scale: number }
    if (!Number.isFinite(shift)) return refuse(`${where}.shift`, 'a finite number')
    if (!(Number.isFinite(scale) && scale > 0)) return refuse(`${where}.scale`, 'a finite number > 0')
    return { name: called, kind: 'continuous', shift, scale, indicator }
  })
  if (new Set(checked.map((column) => column.name)).size < checked.length)
    return refuse('columns', 'columns of different names')
  if (label === undefined) return { columns: checked }
  const { name: called, values } = label as { name?: unknown; values?: unknown }
  if (typeof called !== 'string' || !isTexts(values)) return refuse('label', 'a name and different values')
  return { columns: checked, label: { name: called, values } }
}

function range(known: Float64Array): [number, number] {
  if (known.length === 0) return [0, 1]
  const [least, most] = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))]
  return [least, most - least]
}

function moments(known: Float64Array): [number, number] {
  if (known.length === 0) return [0, 1]
  const mean = known.reduce((a, b) => a + b, 0) / known.length
  return [mean, Math.sqrt(known.reduce((sum, x) => sum + (x - mean) ** 2, 0) / known.length)]
}
