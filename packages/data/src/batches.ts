import { ArgumentError, permutation, type Rng } from '@imago/tensor'
import type { Augment, Batch, Batches, Dataset } from './batch.js'

export interface BatchesOptions {
  /** Rows in a batch. */
  readonly size: number
  /** Needed to shuffle or augment. Never moved: everything is split from it by epoch and batch. */
  readonly rng?: Rng
  /** A new order each epoch; true where an `rng` is given. */
  readonly shuffle?: boolean
  readonly augment?: Augment
  /** Leave the last batch out where it is smaller. */
  readonly drop?: boolean
}

/**
 * Batches of a data set. Epoch e is shuffled by `rng.split('epoch e')` and batch b of it augmented by that generator's own
 * `split('batch b')`, so an epoch entered at batch b goes on bit by bit as if it had been walked from the start.
 */
export function batches(source: Dataset, options: BatchesOptions): Batches {
  const { size, rng, augment, drop = false } = options
  const shuffle = options.shuffle ?? rng !== undefined
  if (!(Number.isSafeInteger(size) && size > 0)) throw new ArgumentError('batches', 'size', 'a whole number ≥ 1', size)
  if ((shuffle || augment !== undefined) && rng === undefined)
    throw new ArgumentError('batches', 'rng', 'given where rows are shuffled or augmented', rng)
  const length = drop ? Math.floor(source.length / size) : Math.ceil(source.length / size)
  if (length === 0)
    throw new ArgumentError('batches', 'source', drop ? `at least ${size} rows (drop)` : 'not empty', source.length)

  async function* epoch(number: number, from = 0): AsyncGenerator<Batch> {
    checkPlace(number, from, length)
    const random = rng?.split(`epoch ${number}`)
    const order = shuffle ? permutation(random!, source.length) : undefined
    for (let b = from; b < length; b++) {
      const end = Math.min((b + 1) * size, source.length)
      const indices = order ? order.slice(b * size, end) : range(b * size, end)
      const batch = source.rows(indices)
      yield augment ? augment(batch, random!.split(`batch ${b}`)) : batch
    }
  }
  return { length, rows: drop ? length * size : source.length, augmented: augment !== undefined, epoch }
}

/** Refuse an epoch or a batch number that is none. `from` may be the length: nothing is left of that epoch. */
export function checkPlace(epoch: number, from: number, length: number): void {
  if (!(Number.isSafeInteger(epoch) && epoch >= 0))
    throw new ArgumentError('Batches.epoch', 'epoch', 'a whole number ≥ 0', epoch)
  if (!(Number.isSafeInteger(from) && from >= 0 && from <= length))
    throw new ArgumentError('Batches.epoch', 'from', `a whole number in [0, ${length}]`, from)
}

function range(from: number, to: number): Uint32Array {
  const out = new Uint32Array(to - from)
  for (let i = 0; i < out.length; i++) out[i] = from + i
  return out
}
