import { mkdir, readdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ArgumentError, ShapeError, StateError, type TensorMap } from '@imago/tensor'
import { removePartial, writeAtomic } from '../files/atomic-file.js'
import { lockFolder } from '../files/lock.js'
import { codecFor } from './codec.js'
import { type EncodingOptions, encodingFor, payloadBytes } from './encoding.js'
import { fingerprintBytes, fingerprints, signatureOf } from './fingerprint.js'
import {
  checkIdentity,
  checkName,
  decodeManifest,
  encodeManifest,
  formatVersion,
  layoutOf,
  type Manifest,
  manifestName,
  type StoreIdentity,
} from './manifest.js'
import { checkByteOrder } from './shard.js'
import { beginShard, removeStray, type ShardFile } from './shard-file.js'

export interface CreateStoreOptions {
  readonly folder: string
  readonly classes: number
  /** Rows in all; the store is complete when it has them. */
  readonly rows: number
  readonly encoding: EncodingOptions
  /** What tells the teacher from any other: the SHA-256 of its file. */
  readonly teacher: string
  /** What tells the teacher's input map from any other; empty map if left out. */
  readonly preprocessing?: string
  /** A batch of inputs, or one row, of the kind that will come: their names, types and sizes belong to the store's identity. */
  readonly inputs: TensorMap
  /** Rows of a shard; about 64 MiB if left out. */
  readonly shardRows?: number
}

/** Rows of targets as they come. */
export interface StoreBatch {
  readonly ids: Uint32Array
  readonly inputs: TensorMap
  /** `logits` [N, C], or for a store of k classes what a teacher tells of itself (see `topKRows`). */
  readonly targets: TensorMap
}

/** Fills a store from its first row to its last. One at a time: it holds the folder. */
export interface StoreWriter {
  readonly identity: StoreIdentity
  /** Rows that are in the store: those before were written by this writer, or by one that was stopped. */
  readonly rows: number
  readonly complete: boolean
  /** Rows until the shard at work is whole. Batches that end there make a resumed store the undisturbed one to the last bit. */
  readonly shardLeft: number
  /** Append rows. @throws NumericError, ShapeError, ArgumentError for targets that cannot be kept; StateError where the disk refuses */
  append(batch: StoreBatch): Promise<void>
  /** Make sure that the rows so far survive whatever comes. */
  flush(): Promise<void>
  /** Give the folder back; what is not flushed of an unfinished shard is lost. Idempotent. */
  close(): Promise<void>
}

const usualShardBytes = 64 * 2 ** 20
const lockName = 'store.lock'

/**
 * Begin a store, or go on with one that was not finished: `rows` says where.
 *
 * @throws StateError where the folder holds another store (each difference named), other files, or a live writer (pid and host);
 *   FormatError where what is there is damaged
 */
export async function createStore(options: CreateStoreOptions): Promise<StoreWriter> {
  const caller = 'createStore'
  checkByteOrder()
  const identity = identityOf(caller, options)
  const { folder } = options
  let made: string | undefined
  try {
    made = await mkdir(folder, { recursive: true })
  } catch (cause) {
    throw new StateError(`${folder} cannot be made (${(cause as Error).message})`, 'Choose another folder', { cause })
  }
  const release = await guarded(folder, () => lockFolder(folder, lockName))
  try {
    const manifest = (await manifestThere(folder, identity)) ?? {
      format: formatVersion,
      identity,
      shards: [],
      complete: false,
    }
    await removePartial(folder)
    await removeStray(folder, manifest.shards.length)
    if (manifest.shards.length === 0) await guarded(folder, () => save(folder, manifest))
    return await writer(folder, manifest, release)
  } catch (error) {
    await release()
    if (made !== undefined) await rmdir(folder).catch(() => undefined)
    throw error
  }
}

function identityOf(caller: string, options: CreateStoreOptions): StoreIdentity {
  const { classes, rows, teacher, preprocessing = 'none' } = options
  const encoding = encodingFor(caller, options.encoding, classes)
  if (!(Number.isSafeInteger(rows) && rows >= 1)) throw new ArgumentError(caller, 'rows', 'a whole number ≥ 1', rows)
  checkName(caller, 'teacher', teacher)
  checkName(caller, 'preprocessing', preprocessing)
  const bytes = fingerprintBytes(formatVersion) + payloadBytes(encoding, classes)
  const shardRows = options.shardRows ?? Math.max(1, Math.floor(usualShardBytes / bytes))
  if (!(Number.isInteger(shardRows) && shardRows >= 1 && shardRows <= 0x7fffffff))
    throw new ArgumentError(caller, 'shardRows', 'a whole number in [1, 2³¹)', shardRows)
  const inputs = signatureOf(caller, options.inputs)
  // The order of names is that of the manifest, whose digest is over its text.
  return { classes, rows, encoding, teacher, preprocessing, inputs, shardRows }
}

async function manifestThere(folder: string, identity: StoreIdentity): Promise<Manifest | undefined> {
  const path = join(folder, manifestName)
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text !== undefined) {
    const manifest = decodeManifest(text, path)
    checkIdentity(folder, manifest.identity, identity, 'Choose another folder, or delete this one to fill it anew')
    return manifest
  }
  const others = (await readdir(folder)).filter((name) => !name.startsWith('.') && !name.startsWith(lockName))
  if (others.length === 0) return undefined
  throw new StateError(
    `${folder} holds files that are no store (${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''})`,
    'Choose a folder that does not exist yet, or an empty one',
  )
}

async function writer(folder: string, found: Manifest, release: () => Promise<void>): Promise<StoreWriter> {
  const { identity } = found
  const layout = layoutOf(identity, found.format)
  const { markBytes } = layout
  const codec = codecFor(identity.encoding, identity.classes)
  const signature = JSON.stringify(identity.inputs)
  const most = Math.ceil(identity.rows / identity.shardRows)
  let manifest = found
  let index = manifest.shards.length
  let shard: ShardFile | undefined
  /** The shard before the one at work, on its way to the disk: its teacher need not wait for it. */
  let publishing: Promise<void> = Promise.resolve()
  let failed = false
  let closed = false

  /** The shard at work: a new one, or what a writer before left of it. */
  const open = async (): Promise<void> => {
    shard = index < most ? await beginShard(folder, identity, layout, index) : undefined
  }
  await open()
  const rowsSoFar = (): number => (shard === undefined ? identity.rows : index * identity.shardRows + shard.rows)

  const guard = async <T>(what: () => Promise<T>): Promise<T> => {
    if (closed)
      throw new StateError(`the writer of ${folder} is closed`, 'Make another; it goes on where this one ended')
    if (failed) throw new StateError(`the writer of ${folder} has failed before`, 'Close it and make another')
    try {
      return await guarded(folder, what)
    } catch (error) {
      // What a write that failed left behind is known when the folder is read again, not before.
      if (error instanceof StateError) failed = true
      throw error
    }
  }
  const publish = async (): Promise<void> => {
    const [whole, before] = [shard!, publishing]
    publishing = (async () => {
      await before
      const shards = [...manifest.shards, await whole.publish()]
      manifest = { ...manifest, shards, complete: shards.length === most }
      await save(folder, manifest)
    })()
    // Whoever awaits it next hears of a failure; until then it must not end the process.
    publishing.catch(() => undefined)
    await before
    index++
    await open()
    if (shard === undefined) await publishing
  }

  return {
    identity,
    get rows() {
      return rowsSoFar()
    },
    get complete() {
      return manifest.complete
    },
    get shardLeft() {
      return shard === undefined ? 0 : shard.length - shard.rows
    },
    append: ({ ids, inputs, targets }) =>
      guard(async () => {
        const caller = 'StoreWriter.append'
        const rows = ids.length
        const here = signatureOf(caller, inputs)
        if (JSON.stringify(here) !== signature)
          throw new ShapeError(caller, 'inputs', `rows of ${signature}, as the store has them`, JSON.stringify(here))
        const left = identity.rows - rowsSoFar()
        if (rows > left)
          throw new ArgumentError(caller, 'ids', `at most ${left} rows, as many as the store still takes`, rows)
        const payloads = codec.encode(caller, targets, ids)
        const marks = fingerprints(caller, inputs, rows, found.format)
        const width = layout.rowBytes - markBytes
        for (let from = 0; from < rows; ) {
          const to = Math.min(rows, from + shard!.length - shard!.rows)
          await shard!.append(
            ids.subarray(from, to),
            marks.subarray(from * markBytes, to * markBytes),
            payloads.subarray(from * width, to * width),
          )
          if (shard!.rows === shard!.length) await publish()
          from = to
        }
      }),
    flush: () =>
      guard(async () => {
        await publishing
        await shard?.flush()
      }),
    async close() {
      if (closed) return
      closed = true
      await publishing.catch(() => undefined)
      await shard?.close()
      await release()
    },
  }
}

async function save(folder: string, manifest: Manifest): Promise<void> {
  await writeAtomic(join(folder, manifestName), [new TextEncoder().encode(encodeManifest(manifest))])
}

/** What the system refuses, in the words of who fills a store. */
async function guarded<T>(folder: string, what: () => Promise<T>): Promise<T> {
  try {
    return await what()
  } catch (cause) {
    if (typeof (cause as NodeJS.ErrnoException).syscall !== 'string') throw cause
    throw new StateError(
      `The store ${folder} could not be written (${(cause as Error).message})`,
      'Free space or make the folder writable, then fill it again: it goes on where it was',
      { cause },
    )
  }
}
