import { ArgumentError, describe, NotFoundError, ShapeError } from '@imago/tensor'
import { type Column, checkSchema, type TableSchema } from './schema.js'

/** The cells of one column: numbers, NaN where missing; or places among the column's values, −1 where missing. */
export type Cells = Float64Array | Int32Array

/** Rows of typed attributes, held column by column. */
export interface Table {
  readonly schema: TableSchema
  readonly length: number
  /** One array a column of the schema: Float64Array [N] for continuous, Int32Array [N] for nominal ones. */
  readonly columns: readonly Cells[]
}

/**
 * A table over arrays that are there; they are not copied.
 *
 * @throws ShapeError for arrays of the wrong class or length, ArgumentError for infinite numbers and for codes that stand for no value
 */
export function table(schema: TableSchema, columns: readonly Cells[]): Table {
  const checked = checkSchema('table', schema)
  if (columns.length !== checked.columns.length)
    throw new ShapeError('table', 'columns', `${checked.columns.length} arrays, one a column`, `${columns.length}`)
  const length = columns[0]!.length
  for (const [i, column] of checked.columns.entries()) checkCells(column, columns[i]!, length)
  return { schema: checked, length, columns: [...columns] }
}

function checkCells(column: Column, cells: Cells, length: number): void {
  const where = `column ${JSON.stringify(column.name)}`
  const fits = column.kind === 'continuous' ? cells instanceof Float64Array : cells instanceof Int32Array
  if (!fits || cells.length !== length) {
    const kind = column.kind === 'continuous' ? 'Float64Array' : 'Int32Array'
    throw new ShapeError('table', where, `a ${kind} of ${length}`, describe(cells))
  }
  const bad =
    column.kind === 'continuous'
      ? cells.findIndex((value: number) => value === Infinity || value === -Infinity)
      : (cells as Int32Array).findIndex((code) => code < -1 || code >= column.values.length)
  if (bad < 0) return
  const expected =
    column.kind === 'continuous' ? 'finite numbers, NaN where missing' : `codes in [−1, ${column.values.length})`
  throw new ArgumentError('table', `${where}[${bad}]`, expected, cells[bad])
}

/** The rows at `rows`, in that order. */
export function takeRows(source: Table, rows: ArrayLike<number>): Table {
  for (let i = 0; i < rows.length; i++)
    if (!(Number.isInteger(rows[i]) && rows[i]! >= 0 && rows[i]! < source.length))
      throw new ArgumentError('takeRows', `rows[${i}]`, `a row in [0, ${source.length})`, rows[i])
  const columns = source.columns.map((cells) => {
    const out = emptyCells(cells, rows.length)
    for (let i = 0; i < rows.length; i++) out[i] = cells[rows[i]!]!
    return out
  })
  return { schema: source.schema, length: rows.length, columns }
}

/** The columns `names`, in that order; cells are shared. */
export function selectColumns(source: Table, names: readonly string[]): Table {
  const places = names.map((name) => columnAt('selectColumns', source.schema, name))
  return table(
    { ...source.schema, columns: places.map((at) => source.schema.columns[at]!) },
    places.map((at) => source.columns[at]!),
  )
}

/** All columns but `names`; cells are shared. */
export function withoutColumns(source: Table, names: readonly string[]): Table {
  for (const name of names) columnAt('withoutColumns', source.schema, name)
  return selectColumns(
    source,
    source.schema.columns.map(({ name }) => name).filter((name) => !names.includes(name)),
  )
}

/** Tables of one schema, one below the other. */
export function concatTables(...tables: readonly Table[]): Table {
  const [first] = tables
  if (first === undefined) throw new ArgumentError('concatTables', 'tables', 'at least one table', tables)
  for (const [i, { schema }] of tables.entries())
    if (JSON.stringify(schema.columns) !== JSON.stringify(first.schema.columns))
      throw new ShapeError('concatTables', `tables[${i}]`, 'of the same columns as the first', namesOf(schema))
  const length = tables.reduce((sum, one) => sum + one.length, 0)
  const columns = first.columns.map((cells, c) => {
    const out = emptyCells(cells, length)
    let at = 0
    for (const one of tables) {
      out.set(one.columns[c]!, at)
      at += one.length
    }
    return out
  })
  return { schema: first.schema, length, columns }
}

/** Where a column stands. @throws NotFoundError telling the names that there are */
export function columnAt(caller: string, schema: TableSchema, name: string): number {
  const at = schema.columns.findIndex((column) => column.name === name)
  if (at >= 0) return at
  throw new NotFoundError(`${caller}: there is no column ${JSON.stringify(name)}`, `There are: ${namesOf(schema)}`)
}

/** An array of the same class. */
export function emptyCells(like: Cells, length: number): Cells {
  return like instanceof Float64Array ? new Float64Array(length) : new Int32Array(length)
}

function namesOf(schema: TableSchema): string {
  const names = schema.columns.map(({ name }) => name)
  return names.length > 20 ? `${names.slice(0, 20).join(', ')}, …` : names.join(', ')
}
