import { ArgumentError, StateError, type Targets } from '@imago/tensor'
import type { Dataset } from '../batch.js'
import { fingerprintBytes, fingerprints } from './fingerprint.js'
import { openStore } from './open-store.js'
import { type CreateStoreOptions, createStore, type StoreBatch } from './store-writer.js'

export interface FillStoreOptions
  extends Pick<CreateStoreOptions, 'folder' | 'encoding' | 'teacher' | 'preprocessing' | 'shardRows'> {
  readonly data: Dataset
  /**
   * The teacher: `fromPredict(predictor)`, an ensemble, another store (to keep less of each row). It is asked about the next rows before what it said of the
   * last is written: its answers are memory of their own.
   */
  readonly targets: Targets
  /** The number of classes; that of the first row's logits if left out, and needed where the teacher tells k classes. */
  readonly classes?: number
  /** Rows that the teacher gets at a time; default 256. */
  readonly batch?: number
  readonly signal?: AbortSignal
  /** Milliseconds from any origin: with it, what is done is made safe every few seconds. */
  readonly clock?: () => number
}

/** How far it is. The first report says what was there already. */
export interface FillReport {
  readonly rows: number
  readonly of: number
}

const flushEvery = 5000

/**
 * Ask a teacher for the targets of every row, once, and keep them. Stopped by its signal or by a kill, it goes on where it was when it is called
 * again; the finished store is the undisturbed one to the last bit, if the teacher is. A store that is complete is left as it is.
 *
 * @throws what `createStore` and its writer throw; the signal's reason; StateError where the rows there are not those of the data
 */
export async function* fillStore(options: FillStoreOptions): AsyncGenerator<FillReport, void> {
  const { data, targets, batch = 256, signal, clock } = options
  if (!(Number.isSafeInteger(batch) && batch >= 1))
    throw new ArgumentError('fillStore', 'batch', 'a whole number ≥ 1', batch)
  if (data.length === 0) throw new ArgumentError('fillStore', 'data', 'at least one row', 0)
  signal?.throwIfAborted()
  const { ids, inputs } = data.rows(Uint32Array.of(0))
  const classes = options.classes ?? (await classesOf(targets, ids, inputs, signal))
  const { folder, encoding, teacher, preprocessing, shardRows } = options
  const writer = await createStore({
    folder,
    classes,
    rows: data.length,
    encoding,
    teacher,
    inputs,
    ...(preprocessing !== undefined && { preprocessing }),
    ...(shardRows !== undefined && { shardRows }),
  })
  let asked: Promise<StoreBatch> | undefined
  try {
    await checkSame(folder, data)
    yield { rows: writer.rows, of: data.length }
    let flushed = clock?.() ?? 0
    let place: Place = { from: writer.rows, left: writer.shardLeft }
    if (!writer.complete) asked = ask(place.from, place.left)
    while (asked) {
      if (signal?.aborted) {
        // What is answered already is not asked for again.
        const last = await asked.catch(() => undefined)
        if (last) await writer.append(last)
        await writer.flush()
        throw signal.reason
      }
      try {
        const rows = await asked
        // The teacher goes on with the rows that follow while these are packed and written.
        place = after(place, rows.ids.length)
        asked = place.from < data.length ? ask(place.from, place.left) : undefined
        await writer.append(rows)
      } catch (error) {
        // What came before is kept, if the disk lets it be.
        await writer.flush().catch(() => undefined)
        throw error
      }
      if (clock && clock() - flushed >= flushEvery && !writer.complete) {
        await writer.flush()
        flushed = clock()
      }
      yield { rows: writer.rows, of: data.length }
    }
  } finally {
    // Whoever owns the teacher may dispose of it once this has ended.
    await asked?.catch(() => undefined)
    await writer.close()
  }

  /** Targets of the rows from `from` on, not more than the shard takes: a shard that is filled again is filled by the same batches. */
  function ask(from: number, left: number): Promise<StoreBatch> {
    const answer = (async () => {
      const { ids, inputs } = data.rows(range(from, from + Math.min(batch, left)))
      return { ids, inputs, targets: await targets({ ids, inputs }, signal) }
    })()
    // Whoever awaits it hears of a failure; until then it must not end the process.
    answer.catch(() => undefined)
    return answer
  }

  /** Where the rows after `count` more begin, and how many their shard takes. */
  function after({ from, left }: Place, count: number): Place {
    const { shardRows, rows } = writer.identity
    const next = from + count
    return { from: next, left: left > count ? left - count : Math.min(shardRows, rows - next) }
  }
}

interface Place {
  readonly from: number
  readonly left: number
}

async function classesOf(
  targets: Targets,
  ...[ids, inputs, signal]: [Uint32Array, ReturnType<Dataset['rows']>['inputs'], AbortSignal | undefined]
): Promise<number> {
  const { logits } = await targets({ ids, inputs }, signal)
  const classes = logits?.dims[1]
  if (classes !== undefined) return classes
  throw new ArgumentError('fillStore', 'classes', 'given where the teacher gives no logits [N, C]', undefined)
}

/** The first and the last row there, and some between, are those of the data: what is added belongs to them. */
async function checkSame(folder: string, data: Dataset): Promise<void> {
  const store = await openStore(folder)
  try {
    if (store.rows === 0) return
    const places = Uint32Array.from(
      new Set(Array.from({ length: 32 }, (_, i) => Math.floor((i * (store.rows - 1)) / 31))),
    )
    const { ids, inputs } = data.rows(places)
    const { fingerprints: kept } = await store.read(places)
    const seen = fingerprints('fillStore', inputs, ids.length, store.format)
    const markBytes = fingerprintBytes(store.format)
    for (const [i, place] of places.entries()) {
      const same = store.ids(place, place + 1)[0] === ids[i]
      const at = i * markBytes
      if (same && seen.subarray(at, at + markBytes).every((byte, b) => byte === kept[at + b])) continue
      throw new StateError(
        `${folder} was begun with other data (row ${place} is another one)`,
        'Choose another folder, or delete this one to fill it anew',
      )
    }
  } finally {
    await store.close()
  }
}

function range(from: number, to: number): Uint32Array {
  return Uint32Array.from({ length: to - from }, (_, i) => from + i)
}
