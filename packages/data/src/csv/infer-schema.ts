import { ArgumentError, describe, FormatError } from '@imago/tensor'
import type { OpenSource } from '../io/open-source.js'
import { type Column, type TableSchema, usualMissing } from '../table/schema.js'
import type { CsvOptions } from './csv-options.js'
import { parseNumber } from './parse-number.js'
import { walkCsv } from './walk-csv.js'

/** More different words are no categories but names or free text. */
export const mostValues: number = 2 ** 16

interface Found {
  readonly name: string
  readonly declared: boolean
  numbers: number
  readonly values: Set<string>
  /** Line of the first known cell. */
  first: number
}

/**
 * What the columns of a file hold, in constant memory. Values of nominal columns are sorted, so that the order of rows does not matter.
 * @throws FormatError for a column with numbers and words, a number that float64 cannot hold, more than 65,536 words
 */
export async function inferSchema(file: OpenSource, options: CsvOptions): Promise<TableSchema> {
  const { nominal = [], ignore = [], missing = usualMissing } = options
  const unknown = new Set(missing)
  let columns: (Found | undefined)[] = []
  await walkCsv(file, options, {
    header(names) {
      for (const [option, list] of Object.entries({ nominal, ignore }))
        for (const name of list)
          if (!names.includes(name))
            throw new ArgumentError('readCsv', option, `columns of ${file.name} (${names.join(', ')})`, name)
      columns = names.map((name) =>
        ignore.includes(name)
          ? undefined
          : { name, declared: nominal.includes(name), numbers: 0, values: new Set<string>(), first: 0 },
      )
    },
    row({ line, cells, at }) {
      for (let c = 0; c < columns.length; c++) {
        const column = columns[c]
        const text = cells[c]!
        if (column !== undefined && !unknown.has(text)) look(column, text, line, at[c]!)
      }
    },
  })
  return { columns: columns.filter((column) => column !== undefined).map(columnOf), missing: [...missing] }

  function look(column: Found, text: string, line: number, at: number): void {
    const fail = (problem: string): never => {
      throw new FormatError(`${file.name}:${line}:${at}`, problem)
    }
    const value = column.declared ? Number.NaN : parseNumber(text)
    const other = Number.isNaN(value) ? column.numbers > 0 : column.values.size > 0
    if (other)
      fail(
        `${describe(text)} in column "${column.name}", which has ${column.numbers > 0 ? 'a number' : 'a word'} on line ${column.first}: declare the column nominal, or the odd text missing`,
      )
    if (column.first === 0) column.first = line
    if (Number.isNaN(value)) column.values.add(text)
    else if (Number.isFinite(value)) column.numbers++
    else fail(`${describe(text)} is beyond what a float64 holds`)
    if (column.values.size > mostValues)
      fail(`more than ${mostValues} different words in column "${column.name}": ignore it, it is no category`)
  }

  function columnOf({ name, declared, numbers, values, first }: Found): Column {
    if (first === 0)
      throw new FormatError(file.name, `nothing is known in column "${name}": every cell is missing; ignore it`)
    if (numbers > 0) return { name, kind: 'continuous' }
    const sorted = [...values].sort((a, b) => (declared ? Number(a) - Number(b) || compare(a, b) : compare(a, b)))
    return { name, kind: 'nominal', values: sorted }
  }
}

/** By code units: the same order in every locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
