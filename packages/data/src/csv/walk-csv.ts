import { FormatError } from '@imago/tensor'
import type { OpenSource } from '../io/open-source.js'
import type { CsvOptions } from './csv-options.js'
import { type CsvRecord, csvRecords } from './csv-records.js'
import { csvText } from './csv-text.js'

/** Who looks at the rows of a CSV file. */
export interface CsvVisitor {
  /** Called once, with the names of the columns and the line that they stand on. */
  readonly header: (names: readonly string[], line: number) => void
  /** A row with as many cells as there are names. */
  readonly row: (record: CsvRecord) => void
}

/** Read a file from its beginning to its end. @throws FormatError as `NAME:LINE:COLUMN` */
export async function walkCsv(file: OpenSource, options: CsvOptions, visitor: CsvVisitor): Promise<void> {
  const { header = true, delimiter, cell } = options
  const records = csvRecords(file.name, delimiter)
  let names: readonly string[] | undefined
  const begin = (found: readonly string[], line: number): void => {
    names = found
    const twice = found.find((name, i) => found.indexOf(name) !== i)
    if (twice !== undefined) throw new FormatError(`${file.name}:${line}`, `two columns are called "${twice}"`)
    visitor.header(found, line)
  }
  if (header !== true) begin(header as readonly string[], 1)
  let rows = 0
  const take = (record: CsvRecord): void => {
    if (names === undefined) {
      begin(record.cells, record.line)
      return
    }
    const { length } = record.cells
    if (length !== names.length) {
      const column = record.at[Math.min(length, names.length + 1) - 1]
      throw new FormatError(
        `${file.name}:${record.line}:${column}`,
        `${length} ${length === 1 ? 'cell' : 'cells'} in this row, ${names.length} in the ${header === true ? 'header' : 'list of names'}`,
      )
    }
    rows++
    visitor.row(cell ? { ...record, cells: record.cells.map((text, c) => cell(text, names![c]!)) } : record)
  }
  let skip = options.skipLines ?? 0
  for await (const text of csvText(file)) {
    let from = 0
    for (; skip > 0 && from < text.length; ) {
      const end = text.indexOf('\n', from)
      from = end < 0 ? text.length : end + 1
      if (end < 0) break
      skip--
      // Lines that are left out count: what is wrong later is told by its true line.
      records.skipLine()
    }
    for (const record of records.push(text.slice(from))) take(record)
  }
  for (const record of records.end()) take(record)
  if (names === undefined)
    throw new FormatError(`${file.name}:1:1`, 'is empty; a line with the names of the columns is needed')
  if (rows === 0) throw new FormatError(file.name, 'has a header and no rows')
}
