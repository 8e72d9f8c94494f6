import { type FileHandle, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { FormatError } from '@imago/tensor'
import { syncFolder, writeAtomic } from '../files/atomic-file.js'
import { type Layout, type ShardEntry, type StoreIdentity, shardLength, shardName } from './manifest.js'
import { compactIds, digestOf, encodeTable, headBytes, readExactly, shardHead } from './shard.js'

/** The shard at work: a hidden file that becomes the shard in one step, and beside it what is known to be on disk of it. */
export interface ShardFile {
  readonly length: number
  readonly rows: number
  append(ids: Uint32Array, fingerprints: Uint8Array, payloads: Uint8Array): Promise<void>
  flush(): Promise<void>
  /** Write the table, make all durable, give the file its name. */
  publish(): Promise<ShardEntry>
  close(): Promise<void>
}

/** About so many bytes are written at once, while the next are made. */
const chunkBytes = 2 ** 22

/** What survives of a shard at work: so many rows, with these ids, and a CRC-32 over those of the blocks and the bytes after the last whole block. */
interface Journal {
  readonly shard: number
  readonly rows: number
  readonly crc: number
  readonly first: number
  readonly list?: readonly number[]
}

interface Recovered {
  readonly handle: FileHandle
  readonly rows: number
  /** Records that do not fill a chunk. */
  readonly tail: Uint8Array
  readonly ids: Uint32Array
}

/** Begin shard `index`, or go on with what a writer that was stopped left of it and recorded. */
export async function beginShard(
  folder: string,
  identity: StoreIdentity,
  layout: Layout,
  index: number,
): Promise<ShardFile> {
  const length = shardLength(identity, index)
  const { rowBytes, blockRows, markBytes } = layout
  const target = join(folder, shardName(index))
  const [partial, journal] = ['unfinished', 'journal'].map((kind) => join(folder, `.${shardName(index)}.${kind}`)) as [
    string,
    string,
  ]
  const head = shardHead(identity, layout, index)
  const ids = new Uint32Array(length)
  const crcs = new Uint32Array(Math.ceil(length / blockRows))
  const chunkRows = blockRows * Math.max(1, Math.ceil(chunkBytes / (blockRows * rowBytes)))
  let buffer = new Uint8Array(chunkRows * rowBytes)
  let spare = new Uint8Array(chunkRows * rowBytes)
  let rows = 0
  /** Rows before the buffer's first. */
  let before = 0
  let pending: Promise<void> | undefined

  const kept = await recover()
  const handle = kept?.handle ?? (await open(partial, 'w+'))
  if (kept) {
    rows = kept.rows
    before = rows - (rows % chunkRows)
    buffer.set(kept.tail)
    ids.set(kept.ids)
  } else {
    await rm(journal, { force: true })
    await writeAll(handle, head, 0)
  }

  /** What the journal promises, if the file keeps it; its blocks' checksums are taken again. */
  async function recover(): Promise<Recovered | undefined> {
    const found = await readJournal(journal, index, length)
    if (found === undefined) return undefined
    const file = await open(partial, 'r+').catch(() => undefined)
    if (file === undefined) return undefined
    try {
      const there = await readExactly(file, partial, 0, headBytes)
      let tail = new Uint8Array()
      for (let from = 0; from < found.rows; from += chunkRows) {
        const count = Math.min(chunkRows, found.rows - from)
        const bytes = await readExactly(file, partial, headBytes + from * rowBytes, count * rowBytes)
        takeCrcs(bytes, from, count)
        if (count < chunkRows) tail = bytes
      }
      if (crcOf(found.rows, tail) === found.crc && there.every((byte, i) => byte === head[i])) {
        await file.truncate(headBytes + found.rows * rowBytes)
        const list = found.list ?? Array.from({ length: found.rows }, (_, i) => found.first + i)
        return { handle: file, rows: found.rows, tail, ids: Uint32Array.from(list) }
      }
    } catch (error) {
      // Cut or damaged: the shard is made again.
      if (!(error instanceof FormatError)) throw error
    }
    await file.close()
    return undefined
  }

  /** The checksums of the whole blocks, and of the shard's last, among records that begin at a block. */
  function takeCrcs(bytes: Uint8Array, from: number, count: number): void {
    for (let row = 0; row < count; row += blockRows) {
      const end = Math.min(row + blockRows, count)
      if (end - row < blockRows && from + end < length) return
      crcs[(from + row) / blockRows] = crc32(bytes.subarray(row * rowBytes, end * rowBytes))
    }
  }

  /** One number for the first `count` rows; `tail` has the records after the last whole chunk. */
  function crcOf(count: number, tail: Uint8Array): number {
    const chunks = crcs.subarray(0, ((count - (count % chunkRows)) / chunkRows) * (chunkRows / blockRows))
    return crc32(tail, crc32(new Uint8Array(chunks.buffer, chunks.byteOffset, chunks.byteLength)))
  }

  /** Hand the buffer to the disk and take the other. */
  async function drain(): Promise<void> {
    const count = rows - before
    if (count === 0) return
    const bytes = buffer.subarray(0, count * rowBytes)
    takeCrcs(bytes, before, count)
    await pending
    const at = headBytes + before * rowBytes
    pending = writeAll(handle, bytes, at)
    // Whoever awaits it next hears of a failure; until then it must not end the process.
    pending.catch(() => {})
    ;[buffer, spare] = [spare, buffer]
    before = rows
  }

  return {
    length,
    get rows() {
      return rows
    },
    async append(more, marks, payloads) {
      const width = rowBytes - markBytes
      for (let r = 0; r < more.length; r++) {
        const at = (rows - before) * rowBytes
        for (let i = 0; i < markBytes; i++) buffer[at + i] = marks[r * markBytes + i]!
        buffer.set(payloads.subarray(r * width, (r + 1) * width), at + markBytes)
        ids[rows++] = more[r]!
        if (rows - before === chunkRows || rows === length) await drain()
      }
    },
    async flush() {
      await pending
      const bytes = buffer.subarray(0, (rows - before) * rowBytes)
      await writeAll(handle, bytes, headBytes + before * rowBytes)
      await handle.sync()
      const { first, list } = compactIds(ids.subarray(0, rows))
      const text = JSON.stringify({
        shard: index,
        rows,
        crc: crcOf(rows, bytes),
        first,
        ...(list && { list: [...list] }),
      } satisfies Journal)
      await writeAtomic(journal, [new TextEncoder().encode(text)])
    },
    async publish() {
      const table = encodeTable({ ids: compactIds(ids), crcs })
      const at = headBytes + length * rowBytes
      try {
        await pending
        await writeAll(handle, table, at)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(partial, target)
      await rm(journal, { force: true })
      await syncFolder(folder)
      return { rows: length, bytes: at + table.length, digest: digestOf(head, table) }
    },
    async close() {
      await pending?.catch(() => {})
      await handle.close().catch(() => {})
    },
  }
}

/** Remove what a writer that was stopped left beside the first `published` shards and the one at work. */
export async function removeStray(folder: string, published: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, hidden, digits] = /^(\.?)shard-(\d{6,})\.bin(?:\.unfinished|\.journal)?$/.exec(name) ?? []
    if (digits === undefined) continue
    // One that got its name just before its writer ended is not in the manifest: it is made again.
    const belongs = hidden ? Number(digits) === published : Number(digits) < published
    if (!belongs) await rm(join(folder, name), { force: true })
  }
}

async function readJournal(path: string, index: number, length: number): Promise<Journal | undefined> {
  try {
    const { shard, rows, crc, first, list } = JSON.parse(await readFile(path, 'utf8')) as Journal
    const whole = [rows, crc, first].every((value) => Number.isSafeInteger(value) && value >= 0)
    if (!whole || shard !== index || rows >= length || (list !== undefined && list.length !== rows)) return undefined
    return { shard, rows, crc, first, ...(list && { list }) }
  } catch {
    return undefined
  }
}

/** A full disk shows as a short write first: go on, and the next call says ENOSPC. */
async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}
