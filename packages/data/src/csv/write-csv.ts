import { ArgumentError } from '@imago/tensor'
import { writeWhole } from '../io/write-whole.js'
import type { TableSchema } from '../table/schema.js'
import type { Table } from '../table/table.js'

/**
 * Write tables of one schema, one below the other, as a CSV file with a header: whole or not at all (a temporary name, fsync, rename).
 * Numbers are written so that they read back as the same float64, a missing value as the schema's first text for it. Resolves to the
 * number of rows.
 */
export async function writeCsv(
  path: string,
  schema: TableSchema,
  tables: Iterable<Table> | AsyncIterable<Table>,
  options: { readonly signal?: AbortSignal } = {},
): Promise<number> {
  let rows = 0
  // A row of one empty cell is written with quotes: an empty line at the end of a file is no row.
  const [unknown = ''] = schema.missing
  const missing = unknown === '' && schema.columns.length > 1 ? '' : quoted(unknown)
  async function* text(): AsyncGenerator<string> {
    yield `${schema.columns.map(({ name }) => quoted(name)).join(',')}\n`
    for await (const part of tables) {
      if (part.schema.columns.map(({ name }) => name).join('\n') !== schema.columns.map(({ name }) => name).join('\n'))
        throw new ArgumentError('writeCsv', 'tables', 'tables of the columns of the schema', part.schema)
      const writers = part.schema.columns.map((column, c) => {
        const cells = part.columns[c]!
        if (column.kind === 'continuous')
          return (row: number) => (Number.isNaN(cells[row]) ? missing : String(cells[row]))
        const words = column.values.map(quoted)
        return (row: number) => (cells[row] === -1 ? missing : words[cells[row]!]!)
      })
      for (let from = 0; from < part.length; from += 1024) {
        options.signal?.throwIfAborted()
        const lines: string[] = []
        for (let row = from; row < Math.min(part.length, from + 1024); row++)
          lines.push(writers.map((write) => write(row)).join(','))
        yield `${lines.join('\n')}\n`
      }
      rows += part.length
    }
  }
  await writeWhole(path, text())
  return rows
}

function quoted(text: string): string {
  return /[",\r\n]|^\s|\s$|^$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
