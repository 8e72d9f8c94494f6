import { describe, FormatError } from '@imago/tensor'
import { type DataSource, type OpenSource, withSource } from '../io/open-source.js'
import { type Column, checkSchema, type TableSchema } from '../table/schema.js'
import { type Cells, type Table, table } from '../table/table.js'
import { type CsvOptions, checkCsvOptions } from './csv-options.js'
import { inferSchema } from './infer-schema.js'
import { parseNumber } from './parse-number.js'
import { walkCsv } from './walk-csv.js'

/**
 * Read a CSV file (RFC 4180, UTF-8, packed with gzip or not) into a typed table. It is read piece by piece, twice where the schema is to be
 * inferred: no more than its cells as numbers is held in memory.
 *
 * @throws FormatError as `FILE:LINE:COLUMN` for what is no CSV, ragged rows, cells that are no number where one is due, nominal values
 *   that the schema has not; NotFoundError, ArgumentError
 */
export async function readCsv(source: DataSource, options: CsvOptions = {}): Promise<Table> {
  checkCsvOptions(options)
  return withSource(source, async (file) => {
    const given = options.schema && checkSchema('readCsv', options.schema)
    return fill(file, options, given ?? (await inferSchema(file, options)), given === undefined)
  })
}

/** A column that is being read. */
interface Filling {
  readonly column: Column
  readonly codes: Map<string, number>
  cells: Cells
}

async function fill(file: OpenSource, options: CsvOptions, schema: TableSchema, inferred: boolean): Promise<Table> {
  const missing = new Set(schema.missing)
  let places: (Filling | undefined)[] = []
  let present: Filling[] = []
  let rows = 0
  await walkCsv(file, options, {
    header(names, line) {
      const byName = new Map(schema.columns.map((column) => [column.name, filling(column)]))
      places = names.map((name, c) => {
        if (options.ignore?.includes(name)) return undefined
        const found = byName.get(name)
        if (found === undefined && !inferred)
          throw new FormatError(`${file.name}:${line}`, `column ${c + 1}, "${name}", is not in the schema; ignore it`)
        return found
      })
      const there = new Set(names)
      const absent = schema.columns.find(({ name }) => !there.has(name) && !options.optional?.includes(name))
      if (absent)
        throw new FormatError(`${file.name}:${line}`, `there is no column "${absent.name}", which the schema has`)
      present = schema.columns.filter(({ name }) => there.has(name)).map(({ name }) => byName.get(name)!)
    },
    row({ line, cells, at }) {
      if (rows === present[0]?.cells.length) for (const one of present) one.cells = longer(one.cells)
      for (let c = 0; c < places.length; c++) {
        const place = places[c]
        if (place === undefined) continue
        const text = cells[c]!
        place.cells[rows] = missing.has(text) ? missingOf(place.column) : parsed(place, text, line, at[c]!)
      }
      rows++
    },
  })
  const kept = { columns: present.map(({ column }) => column), missing: schema.missing }
  return table(
    kept,
    present.map(({ cells }) => cells.slice(0, rows)),
  )

  function parsed({ column, codes }: Filling, text: string, line: number, at: number): number {
    if (column.kind === 'continuous') {
      const value = parseNumber(text)
      if (Number.isFinite(value)) return value
      const problem = Number.isNaN(value) ? 'is no number' : 'is beyond what a float64 holds'
      throw new FormatError(`${file.name}:${line}:${at}`, `${describe(text)} in column "${column.name}" ${problem}`)
    }
    const code = codes.get(text)
    if (code !== undefined) return code
    if (options.unseen === 'missing') return -1
    throw new FormatError(
      `${file.name}:${line}:${at}`,
      `${describe(text)} in column "${column.name}" is none of the ${column.values.length} values that the schema has (${column.values.slice(0, 5).join(', ')}${column.values.length > 5 ? ', …' : ''}); unseen values can be taken for missing`,
    )
  }
}

const missingOf = (column: Column): number => (column.kind === 'continuous' ? Number.NaN : -1)

function filling(column: Column): Filling {
  return column.kind === 'continuous'
    ? { column, codes: new Map(), cells: new Float64Array(1024) }
    : { column, codes: new Map(column.values.map((value, code) => [value, code])), cells: new Int32Array(1024) }
}

function longer(cells: Cells): Cells {
  const out = cells instanceof Float64Array ? new Float64Array(2 * cells.length) : new Int32Array(2 * cells.length)
  out.set(cells)
  return out
}
