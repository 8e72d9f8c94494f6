import type { Cells, Table } from '../table/table.js'
import { concatTables, takeRows } from '../table/table.js'
import { rangeOf } from './attribute-distance.js'
import { someRows } from './munge.js'
import { type MungeOptions, mungeSettings } from './munge-options.js'

/**
 * MUNGE to the letter: the nearest row e′ is looked for in the table as it stands, changed by all that came before in this pass. Plain
 * loops in float64, N² distances a pass: the definition that `munge` is held against, and fast enough for a few thousand rows. Same
 * random numbers as `munge`, in the same order.
 *
 * @throws ArgumentError
 */
export function mungeInPlace(source: Table, options: MungeOptions): Table {
  const { rows, probability: p, localVariance: s, rng } = mungeSettings('mungeInPlace', source, options)
  const { kinds, least, range } = scales(source)
  const parts: Table[] = []
  for (let done = 0, pass = 0; done < rows; done += source.length, pass++) {
    const random = rng.split(`pass ${pass}`)
    const T = source.columns.map((cells) => cells.slice())
    for (let e = 0; e < source.length; e++) {
      const near = nearest(T, e)
      for (let a = 0; a < T.length; a++) {
        if (random.uniform() >= p) continue
        const own = T[a]![e]!
        const foreign = T[a]![near]!
        if (kinds[a] === 'nominal' || Number.isNaN(own) || Number.isNaN(foreign)) {
          T[a]![e] = foreign
          T[a]![near] = own
          continue
        }
        const sd = Math.abs(own - foreign) / s
        if (sd === 0) continue
        T[a]![e] = foreign + sd * random.normal()
        T[a]![near] = own + sd * random.normal()
      }
    }
    const made = { ...source, columns: T }
    parts.push(rows - done >= source.length ? made : takeRows(made, someRows(rng, source.length, rows - done)))
  }
  return concatTables(...parts)

  function nearest(T: readonly Cells[], e: number): number {
    let [best, found] = [Number.POSITIVE_INFINITY, -1]
    for (let j = 0; j < source.length; j++) {
      if (j === e) continue
      let distance = 0
      for (let a = 0; a < T.length; a++) distance += difference(a, T[a]![e]!, T[a]![j]!)
      if (distance < best) [best, found] = [distance, j]
    }
    return found
  }

  function difference(a: number, x: number, y: number): number {
    if (kinds[a] === 'nominal') return x === y ? 0 : 1
    const scaled = (value: number): number =>
      Number.isNaN(value) ? 0.5 : range[a]! > 0 ? (value - least[a]!) / range[a]! : 0
    return (scaled(x) - scaled(y)) ** 2 + (Number.isNaN(x) === Number.isNaN(y) ? 0 : 1)
  }
}

/** Attributes are scaled by what the table holds, not by what the changes make of it. */
function scales({ schema, columns }: Table): { kinds: string[]; least: number[]; range: number[] } {
  const ranges = schema.columns.map(({ kind }, c) =>
    kind === 'nominal' ? { least: 0, range: 1 } : rangeOf(columns[c] as Float64Array),
  )
  return {
    kinds: schema.columns.map(({ kind }) => kind),
    least: ranges.map(({ least }) => least),
    range: ranges.map(({ range }) => range),
  }
}
