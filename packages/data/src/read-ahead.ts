import { ArgumentError, type Targets, type TensorMap } from '@imago/tensor'
import type { Batch, Batches } from './batch.js'

export interface ReadAheadOptions {
  readonly data: Batches
  readonly targets: Targets
  /** So many batches are on their way while one is worked on; default 2. */
  readonly batches?: number
}

/**
 * The same batches and the same targets, asked for before they are wanted: while a step computes, the targets of the next batches come from the
 * disk, one batch after another. For targets that wait (`fromStore`); a teacher in this process would only take turns with the student.
 *
 * Targets are known again by the batch's own `ids`: a query with others goes to the source. What fails ahead of its time is told when its turn comes,
 * and an epoch that is left early ends when nothing is being read any more.
 *
 * @throws ArgumentError for a number of batches that is none
 */
export function readAhead({ data, targets, batches = 2 }: ReadAheadOptions): { data: Batches; targets: Targets } {
  if (!(Number.isSafeInteger(batches) && batches >= 1))
    throw new ArgumentError('readAhead', 'batches', 'a whole number ≥ 1', batches)
  const begun = new WeakMap<Uint32Array, Promise<TensorMap>>()

  async function* epoch(number: number, from?: number): AsyncGenerator<Batch> {
    const source = data.epoch(number, from)[Symbol.asyncIterator]()
    const waiting: Promise<IteratorResult<Batch>>[] = []
    let last: Promise<unknown> = Promise.resolve()
    const pull = async (): Promise<IteratorResult<Batch>> => {
      const before = last
      const next = await source.next()
      if (next.done) return next
      const { ids, inputs } = next.value
      const answer = before.then(() => targets({ ids, inputs }))
      begun.set(ids, answer)
      last = answer.catch(() => undefined)
      return next
    }
    let turn: Promise<unknown> = Promise.resolve()
    const ask = (): void => {
      const next = turn.then(pull)
      turn = next.catch(() => undefined)
      waiting.push(next)
    }
    try {
      for (let i = 0; i <= batches; i++) ask()
      for (;;) {
        const { value, done } = await waiting.shift()!
        if (done) return
        yield value
        ask()
      }
    } finally {
      await turn
      await last
      await source.return?.()
    }
  }

  return {
    data: { length: data.length, rows: data.rows, augmented: data.augmented, epoch },
    targets: async (query, signal) => {
      signal?.throwIfAborted()
      const answer = begun.get(query.ids)
      begun.delete(query.ids)
      return answer ?? targets(query, signal)
    },
  }
}
