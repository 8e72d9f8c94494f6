import { type Tensor, tensor } from '@imago/tensor'
import type { Table } from '../table/table.js'

/** A table as the distance of Bucilă, Caruana & Niculescu-Mizil 2006 (§3.3) sees it: the rows of `nearestNeighbors`. */
export interface DistanceInputs {
  /** Continuous attributes scaled to [0, 1] by their least and largest value, float32 [N, C]. */
  readonly x?: Tensor<'float32'>
  /** Nominal attributes as codes, int32 [N, M]. */
  readonly codes?: Tensor<'int32'>
}

/**
 * Squared distance = Σ (x − x′)² over continuous attributes scaled to [0, 1] + the number of nominal attributes that differ. What is
 * missing is a nominal value of its own: a number that is missing counts as ½, and 1 more where the other is known. An
 * attribute that does not vary counts nothing.
 */
export function distanceInputs({ schema, length, columns }: Table): DistanceInputs {
  const numbers: Float32Array[] = []
  const words: Int32Array[] = []
  for (const [c, { kind }] of schema.columns.entries()) {
    if (kind === 'nominal') {
      words.push(columns[c] as Int32Array)
      continue
    }
    const cells = columns[c] as Float64Array
    const { least, range, missing } = rangeOf(cells)
    numbers.push(
      Float32Array.from(cells, (value) => (Number.isNaN(value) ? 0.5 : range > 0 ? (value - least) / range : 0)),
    )
    if (missing) words.push(Int32Array.from(cells, (value) => (Number.isNaN(value) ? 1 : 0)))
  }
  return {
    ...(numbers.length > 0 && { x: tensor('float32', [length, numbers.length], interleaved(numbers, Float32Array)) }),
    ...(words.length > 0 && { codes: tensor('int32', [length, words.length], interleaved(words, Int32Array)) }),
  }
}

/** The least and the largest known value of a column. Not by spreading: a column may have millions of rows. */
export function rangeOf(cells: Float64Array): { least: number; range: number; missing: boolean } {
  let [least, most, missing] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, false]
  for (const value of cells) {
    if (Number.isNaN(value)) missing = true
    if (value < least) least = value
    if (value > most) most = value
  }
  return { least, range: most > least ? most - least : 0, missing }
}

function interleaved<A extends Float32Array | Int32Array>(columns: readonly A[], Type: { new (length: number): A }): A {
  const out = new Type(columns.length * columns[0]!.length)
  for (const [c, cells] of columns.entries())
    for (let row = 0; row < cells.length; row++) out[row * columns.length + c] = cells[row]!
  return out
}
