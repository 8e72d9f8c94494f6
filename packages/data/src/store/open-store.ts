import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ArgumentError, FormatError, NotFoundError, type TensorMap } from '@imago/tensor'
import { blockReaders } from './block-readers.js'
import { codecFor } from './codec.js'
import type { StoreFormat } from './fingerprint.js'
import {
  checkIdentity,
  decodeManifest,
  layoutOf,
  type Manifest,
  manifestName,
  type StoreIdentity,
  shardName,
} from './manifest.js'
import { openFiles } from './open-files.js'
import { recordReader } from './record-reader.js'
import { type RowIndex, rowIndex } from './row-index.js'
import { checkByteOrder, readTable, type ShardTable } from './shard.js'

export interface OpenStoreOptions {
  /** What the store has to be of: another one is refused with what differs. */
  readonly expect?: {
    readonly teacher?: string | undefined
    readonly preprocessing?: string | undefined
    readonly classes?: number | undefined
  }
  /**
   * Threads that read, and wait for the disk, in place of the one that asks; each takes 4 MiB or so. 0 if left out, which is best for a store that the
   * system has in memory and a thread that has nothing else to do.
   */
  readonly threads?: number
}

/** Rows as they are kept. */
export interface StoredRows {
  /** `logits` [N, C], or `indices`, `values` [N, k] and `logTail@T` [N] for each temperature T. */
  readonly targets: TensorMap
  /** What the inputs of each row were: 4 bytes a row, 6 in format 1. */
  readonly fingerprints: Uint8Array
}

/** A store of soft targets, open for reading. */
export interface Store {
  readonly folder: string
  readonly identity: StoreIdentity
  readonly format: StoreFormat
  /** Rows that can be read: all, or those of the shards that a writer has published so far. */
  readonly rows: number
  readonly complete: boolean
  /** Where the rows with these ids are. @throws NotFoundError naming the first id that is not there */
  find(ids: Uint32Array): Float64Array
  /** The ids of rows `from` … `to`. */
  ids(from: number, to: number): Uint32Array
  /** Rows by their place, in any order. @throws FormatError naming a row whose block is damaged, and the shard */
  read(places: ArrayLike<number>): Promise<StoredRows>
  /** Read everything once. @throws FormatError at the first damage */
  verify(options?: { readonly signal?: AbortSignal; readonly onProgress?: (rows: number) => void }): Promise<void>
  close(): Promise<void>
}

/**
 * Open a store. Everything but the rows themselves is checked at once: the manifest, the size, head and table of each shard; the rows of a
 * block are checked when they are read. In memory are 4 bytes a block (of about 4 KiB), and the ids where they are not consecutive. A store that is being
 * filled shows what was published when it was opened.
 *
 * @throws NotFoundError where there is none, FormatError for damage, UnsupportedError for a newer format, StateError for a store of
 *   another teacher, preprocessing or number of classes than expected
 */
export async function openStore(folder: string, options: OpenStoreOptions = {}): Promise<Store> {
  checkByteOrder()
  const manifest = await readManifest(folder)
  const { identity, complete, format } = manifest
  if (options.expect)
    checkIdentity(
      folder,
      identity,
      options.expect,
      'These targets are stale or of another teacher: fill the store again',
    )
  const { threads = 0 } = options
  if (!(Number.isInteger(threads) && threads >= 0 && threads <= 64))
    throw new ArgumentError('openStore', 'threads', 'a whole number in [0, 64]', threads)
  const layout = layoutOf(identity, format)
  const files = openFiles(folder)
  try {
    await checkNothingElse(folder, manifest)
    const tables: ShardTable[] = []
    for (const [i, entry] of manifest.shards.entries())
      tables.push(await files.use(i, (handle, where) => readTable(handle, where, identity, layout, i, entry)))
    const index = rowIndex(
      tables,
      identity.shardRows,
      manifest.shards.reduce((sum, { rows }) => sum + rows, 0),
    )
    return storeOver(folder, manifest, index, tables, files)
  } catch (error) {
    await files.close()
    throw error
  }

  function storeOver(
    folder: string,
    { shards }: Manifest,
    index: RowIndex,
    tables: readonly ShardTable[],
    files: ReturnType<typeof openFiles>,
  ): Store {
    const codec = codecFor(identity.encoding, identity.classes)
    const readers = threads > 0 ? blockReaders(threads) : undefined
    const idOf = (place: number): number => index.ids(place, place + 1)[0]!
    const reader = recordReader(files, identity, layout, shards, tables, idOf, readers)
    const width = layout.rowBytes - layout.markBytes
    return {
      folder,
      identity,
      format,
      rows: index.rows,
      complete,
      ids: index.ids,
      find(ids) {
        const places = index.find(ids)
        const missing = places.indexOf(-1)
        if (missing < 0) return places
        throw new NotFoundError(
          `${folder} has no targets for row ${ids[missing]}`,
          complete
            ? 'They were made for other data: fill a store from these'
            : `It is not finished (${index.rows} of ${identity.rows} rows): fill it to the end`,
        )
      },
      async read(places) {
        const fingerprints = new Uint8Array(places.length * layout.markBytes)
        const payloads = new Uint8Array(places.length * width)
        await reader.read(places, (i, bytes, at) => {
          for (let b = 0; b < layout.markBytes; b++) fingerprints[i * layout.markBytes + b] = bytes[at + b]!
          payloads.set(bytes.subarray(at + layout.markBytes, at + layout.rowBytes), i * width)
        })
        return { targets: codec.decode(folder, payloads, places.length), fingerprints }
      },
      async verify({ signal, onProgress } = {}) {
        const step = Math.max(1, Math.floor(2 ** 22 / layout.rowBytes))
        for (let from = 0; from < index.rows; from += step) {
          signal?.throwIfAborted()
          const places = Float64Array.from({ length: Math.min(step, index.rows - from) }, (_, i) => from + i)
          await reader.read(places, () => undefined)
          onProgress?.(from + places.length)
        }
      },
      async close() {
        await readers?.close()
        await files.close()
      },
    }
  }
}

async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, manifestName)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new NotFoundError(
      `There is no store of soft targets at ${folder} (${code === 'ENOENT' ? `no ${manifestName} there` : code})`,
      'Check the path; imago teach fills one',
      { cause },
    )
  }
  return decodeManifest(text, path)
}

/** A finished store has its shards and no others: one more was put there by mistake. */
async function checkNothingElse(folder: string, { shards, complete }: Manifest): Promise<void> {
  if (!complete) return
  const known = new Set(shards.map((_, i) => shardName(i)))
  for (const name of await readdir(folder))
    if (/^shard-.*\.bin$/.test(name) && !known.has(name))
      throw new FormatError(join(folder, name), 'is not in the manifest of the store; take it away')
}
