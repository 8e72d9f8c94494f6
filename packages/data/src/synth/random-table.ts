import { ArgumentError, type Rng } from '@imago/tensor'
import { emptyCells, type Table } from '../table/table.js'
import { checkRows } from './munge-options.js'

/**
 * RANDOM (Bucilă, Caruana & Niculescu-Mizil 2006, §3.1): each attribute of each row is drawn by itself from the values that the table's
 * column holds, as often as they stand there. Marginal distributions are kept, everything between attributes is lost. Missing values are
 * drawn like others.
 *
 * @throws ArgumentError
 */
export function randomTable(source: Table, options: { readonly rows: number; readonly rng: Rng }): Table {
  const { rows, rng } = options
  checkRows('randomTable', rows)
  if (source.length === 0) throw new ArgumentError('randomTable', 'source', 'a table with at least one row', 0)
  const columns = source.columns.map((cells, c) => {
    const random = rng.split(`column ${c}`)
    const out = emptyCells(cells, rows)
    for (let row = 0; row < rows; row++) out[row] = cells[random.integer(source.length)]!
    return out
  })
  return { schema: source.schema, length: rows, columns }
}
