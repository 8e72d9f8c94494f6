import { ArgumentError, StateError } from '@imago/tensor'
import type { Batch, Batches } from './batch.js'
import { checkPlace } from './batches.js'

/** Batches of yours: something that can be walked again, or a function that makes the walk of an epoch. */
export type BatchSource =
  | AsyncIterable<Batch>
  | Iterable<Batch>
  | ((epoch: number) => AsyncIterable<Batch> | Iterable<Batch>)

export interface FromIterableOptions {
  /** Batches in an epoch. A longer source is cut there, a shorter one is an error. */
  readonly length: number
  /** Rows in an epoch. */
  readonly rows: number
  /** False where the source gives the same rows in every epoch; true by default, which is always safe. */
  readonly augmented?: boolean
}

/**
 * Batches from any (async) iterable: a stream, a database cursor, a generator. To be resumable epoch e has to be the same
 * each time; what comes before the batch at which an epoch is entered is read and let go.
 *
 * @throws StateError where a source that can be walked once (a generator object) is asked for a second walk, or ends early
 */
export function fromIterable(source: BatchSource, options: FromIterableOptions): Batches {
  const { length, rows, augmented = true } = options
  if (!(Number.isSafeInteger(length) && length > 0))
    throw new ArgumentError('fromIterable', 'length', 'a whole number ≥ 1', length)
  if (!(Number.isSafeInteger(rows) && rows > 0))
    throw new ArgumentError('fromIterable', 'rows', 'a whole number ≥ 1', rows)
  const open = opener(source)

  async function* epoch(number: number, from = 0): AsyncGenerator<Batch> {
    checkPlace(number, from, length)
    if (from === length) return
    let at = 0
    for await (const batch of open(number)) {
      if (at >= from) yield batch
      if (++at === length) return
    }
    throw new StateError(
      `fromIterable: epoch ${number} ended after ${at} of ${length} batches`,
      'Give the true length, or a function of the epoch that makes a new walk each time',
    )
  }
  return { length, rows, augmented, epoch }
}

function opener(source: BatchSource): (epoch: number) => AsyncIterable<Batch> | Iterable<Batch> {
  if (typeof source === 'function') return source
  let walked = false
  return (epoch) => {
    if (walked && isOneWalk(source))
      throw new StateError(
        `fromIterable: epoch ${epoch} asks for a second walk of a generator`,
        'Pass a function of the epoch that makes a new generator each time',
      )
    walked = true
    return source
  }
}

/** A generator object is its own iterator; what can be walked again makes a new one each time. */
function isOneWalk(source: AsyncIterable<Batch> | Iterable<Batch>): boolean {
  return Symbol.asyncIterator in source
    ? (source[Symbol.asyncIterator]() as unknown) === source
    : (source[Symbol.iterator]() as unknown) === source
}
