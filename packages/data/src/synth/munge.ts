import { nearestNeighbors } from '@imago/kernels'
import { permutation, type Rng } from '@imago/tensor'
import { type Cells, concatTables, type Table, takeRows } from '../table/table.js'
import { distanceInputs } from './attribute-distance.js'
import { type MungeOptions, mungeSettings } from './munge-options.js'

/**
 * MUNGE (Bucilă, Caruana & Niculescu-Mizil 2006, §3.3, algorithm 1): rows like those of a table, from the table alone. Each pass begins
 * with a copy of it; every row e in turn meets its nearest other row e′, and with probability p each of their attributes is changed: of a
 * nominal one the values change places, of a continuous one e gets a number from N(e′, sd) and e′ one from N(e, sd), sd = |e − e′| / s.
 * Both rows are changed, and a row that is met again is changed again.
 *
 * The paper looks for e′ among the rows as they stand after the changes so far. Here neighbours are those of the table itself, found once
 * by a kernel for all passes; `mungeInPlace` does it to the letter, at a pass's cost of N²/2 distances in plain float64.
 *
 * Missing values travel as values of their own: where one of the two is missing, they change places.
 *
 * @throws ArgumentError
 */
export function munge(source: Table, options: MungeOptions): Table {
  return concatTables(...mungePasses(source, options))
}

/** The same pass by pass, for more rows than memory holds: tables of as many rows as `source`, the last one smaller. */
export function* mungePasses(source: Table, options: MungeOptions): Generator<Table, void> {
  const { rows, probability, localVariance, rng } = mungeSettings('munge', source, options)
  const neighbors = nearestNeighbors(distanceInputs(source)).neighbors.data
  for (let done = 0, pass = 0; done < rows; done += source.length, pass++) {
    const random = rng.split(`pass ${pass}`)
    const columns = source.columns.map((cells) => cells.slice())
    for (let row = 0; row < source.length; row++)
      perturb(columns, row, neighbors[row]!, probability, localVariance, random)
    const made = { ...source, columns }
    yield rows - done >= source.length ? made : takeRows(made, someRows(rng, source.length, rows - done))
  }
}

/** Change a pair of rows, attribute by attribute. */
export function perturb(
  columns: readonly Cells[],
  e: number,
  other: number,
  probability: number,
  localVariance: number,
  random: Rng,
): void {
  for (const cells of columns) {
    if (random.uniform() >= probability) continue
    const [own, foreign] = [cells[e]!, cells[other]!]
    const sd = Math.abs(own - foreign) / localVariance
    if (cells instanceof Int32Array || Number.isNaN(sd)) {
      cells[e] = foreign
      cells[other] = own
    } else if (sd > 0) {
      cells[e] = foreign + sd * random.normal()
      cells[other] = own + sd * random.normal()
    }
  }
}

/** Some rows of a pass, in their order: its first rows alone would be the first rows of the table, whatever orders that. */
export function someRows(rng: Rng, length: number, count: number): Uint32Array {
  return permutation(rng.split('last pass'), length).slice(0, count).sort()
}
