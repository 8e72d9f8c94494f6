import { ArgumentError, dims, ShapeError, type Tensor, tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import { memory } from '../guard.js'

export interface NearestNeighborsOptions {
  /** Numbers `[N, C]`, float32; scale them as they are to count. */
  readonly x?: Tensor | undefined
  /** Words as codes `[N, M]`, int32; one that differs counts like a difference of 1. */
  readonly codes?: Tensor | undefined
  readonly backend?: Backend | undefined
}

export interface NearestNeighbors {
  /** The nearest other row of each row, `[N]`; the first of equally near ones. */
  readonly neighbors: Tensor<'int32'>
  /** Σ (x − x′)² + the number of codes that differ, `[N]`. */
  readonly squaredDistances: Tensor<'float64'>
}

/**
 * For each row of a table the nearest other one: Euclidean over numbers, Hamming over words (what MUNGE asks for: Bucilă, Caruana &
 * Niculescu-Mizil 2006). The same bits for every number of threads and every instruction set. On the CPU alone.
 *
 * Every pair of rows is looked at: N²·(C + M) steps. 4 bytes for each number and code beside the input.
 *
 * @throws ShapeError, ArgumentError (nothing given), NumericError for NaN or |x| > 2⁴⁸, UnsupportedError for a backend that is not there
 */
export function nearestNeighbors(options: NearestNeighborsOptions): NearestNeighbors {
  const caller = 'nearestNeighbors'
  const { x, codes, backend } = options
  if (x === undefined && codes === undefined)
    throw new ArgumentError(caller, 'x, codes', 'given, one of the two', 'neither')
  const {
    N,
    C = 0,
    M = 0,
  } = dims(caller, { x: [x, 'N C', 'float32'], codes: [codes, 'N M', 'int32'] }) as {
    N: number
    C?: number
    M?: number
  }
  const given = x === undefined ? 'codes' : 'x'
  if (N < 2) throw new ShapeError(caller, given, '[N, …] with at least two rows', `[${N}, …]`)
  if (C + M === 0) throw new ShapeError(caller, given, '[N, …] with at least one column', `[${N}, 0]`)
  const numbers = x === undefined ? null : memory(caller, 'x', x, 'float32')
  const words = codes === undefined ? null : memory(caller, 'codes', codes, 'int32')
  const neighbors = new Int32Array(N)
  const squaredDistances = new Float64Array(N)
  run(caller, 'nearest_neighbors', backend, [numbers, words, neighbors, squaredDistances], [N, C, M])
  return { neighbors: tensor('int32', [N], neighbors), squaredDistances: tensor('float64', [N], squaredDistances) }
}
