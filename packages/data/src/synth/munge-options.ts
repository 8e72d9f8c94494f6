import { ArgumentError, type Rng } from '@imago/tensor'
import type { Table } from '../table/table.js'

export interface MungeOptions {
  /** How many rows to make; a pass over the table makes as many as it has, of the last one rows are drawn. */
  readonly rows: number
  /** p, the probability that an attribute of a pair is changed; 0.5 unless given. */
  readonly probability?: number | undefined
  /** s, the local variance parameter: the deviation of a new number is the difference of the pair's divided by it; 5 unless given. */
  readonly localVariance?: number | undefined
  /** Never moved: pass k has its own, split from it. */
  readonly rng: Rng
}

export interface MungeSettings {
  readonly rows: number
  readonly probability: number
  readonly localVariance: number
  readonly rng: Rng
}

/** @throws ArgumentError */
export function mungeSettings(caller: string, source: Table, options: MungeOptions): MungeSettings {
  const { rows, probability = 0.5, localVariance = 5, rng } = options
  checkRows(caller, rows)
  if (source.length < 2)
    throw new ArgumentError(
      caller,
      'source',
      'a table with at least two rows: every row needs a neighbour',
      source.length,
    )
  if (!(typeof probability === 'number' && probability >= 0 && probability <= 1))
    throw new ArgumentError(caller, 'probability', 'a number in [0, 1]', probability)
  if (!(typeof localVariance === 'number' && localVariance > 0 && Number.isFinite(localVariance)))
    throw new ArgumentError(caller, 'localVariance', 'a finite number > 0', localVariance)
  return { rows, probability, localVariance, rng }
}

/** @throws ArgumentError */
export function checkRows(caller: string, rows: number): void {
  if (!(Number.isSafeInteger(rows) && rows > 0)) throw new ArgumentError(caller, 'rows', 'a whole number ≥ 1', rows)
}
