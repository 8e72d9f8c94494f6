import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { FormatError, UnsupportedError } from '@imago/tensor'
import type { Layout, ShardEntry, StoreIdentity } from './manifest.js'
import { shardLength } from './manifest.js'

/**
 * A shard: a head of 64 bytes, records of `rowBytes` in blocks of `blockRows`, then the table: the ids (the first alone where they are
 * consecutive) and the CRC-32 of each block. Numbers are little-endian.
 */
export const headBytes = 64

/**
 * Refuse a machine whose numbers lie the other way round: records are memory as it is.
 *
 * @throws UnsupportedError
 */
export function checkByteOrder(): void {
  if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1)
    throw new UnsupportedError('the store of soft targets', 'this machine is big-endian, and stores are little-endian')
}

const magic = new TextEncoder().encode('imagoSTS')

/** What stands at the beginning of shard `index`: nothing that is not known before its rows. */
export function shardHead(identity: StoreIdentity, layout: Layout, index: number): Uint8Array {
  const head = new Uint8Array(headBytes)
  const view = new DataView(head.buffer)
  head.set(magic)
  view.setUint32(8, layout.format, true)
  view.setUint32(12, index, true)
  view.setUint32(16, shardLength(identity, index), true)
  view.setUint32(20, layout.rowBytes, true)
  view.setUint32(24, layout.blockRows, true)
  head.set(layout.key, 32)
  return head
}

/** What is told of a shard's rows behind them. */
export interface ShardTable {
  /** The id of each row; where they are consecutive only the first is kept. */
  readonly ids: Ids
  /** The CRC-32 of each block. */
  readonly crcs: Uint32Array
}

/** Ids of the rows of a shard: `first`, `first + 1` …, or a list. */
export interface Ids {
  readonly first: number
  readonly list?: Uint32Array
}

export function compactIds(ids: Uint32Array): Ids {
  const first = ids[0] ?? 0
  return ids.every((id, i) => id === first + i) ? { first } : { first, list: ids }
}

export function encodeTable({ ids, crcs }: ShardTable): Uint8Array {
  const list = ids.list ?? new Uint32Array()
  const words = new Uint32Array(2 + list.length + crcs.length)
  words[0] = list.length
  words[1] = ids.first
  words.set(list, 2)
  words.set(crcs, 2 + list.length)
  return new Uint8Array(words.buffer)
}

export function digestOf(head: Uint8Array, table: Uint8Array): string {
  return createHash('sha256').update(head).update(table).digest('hex')
}

/**
 * The table of a shard, after everything that can be known without its rows was held against the manifest.
 *
 * @throws FormatError saying whether the file is cut, of another store, in another's place, or damaged
 */
export async function readTable(
  handle: Pick<FileHandle, 'read' | 'stat'>,
  where: string,
  identity: StoreIdentity,
  layout: Layout,
  index: number,
  entry: ShardEntry,
): Promise<ShardTable> {
  const { size } = await handle.stat()
  if (size !== entry.bytes)
    throw new FormatError(
      where,
      `has ${size} bytes and the manifest says ${entry.bytes}: it was cut or replaced; fill it again`,
    )
  const blocks = Math.ceil(entry.rows / layout.blockRows)
  const tableAt = headBytes + entry.rows * layout.rowBytes
  const head = await readExactly(handle, where, 0, headBytes)
  checkHead(head, where, identity, layout, index)
  const table = await readExactly(handle, where, tableAt, size - tableAt)
  if (digestOf(head, table) !== entry.digest)
    throw new FormatError(where, 'its rows are not those that the manifest lists: it is damaged, or of another store')
  const words = new Uint32Array(table.buffer, 0, table.length >>> 2)
  const listed = words[0]!
  if (table.length !== 4 * (2 + listed + blocks) || (listed !== 0 && listed !== entry.rows))
    throw new FormatError(where, 'its table is damaged')
  const ids = listed === 0 ? { first: words[1]! } : { first: words[1]!, list: words.slice(2, 2 + listed) }
  return { ids, crcs: words.slice(2 + listed) }
}

function checkHead(head: Uint8Array, where: string, identity: StoreIdentity, layout: Layout, index: number): void {
  const expected = shardHead(identity, layout, index)
  if (head.every((byte, i) => byte === expected[i])) return
  if (!magic.every((byte, i) => head[i] === byte)) throw new FormatError(where, 'is no shard of a store')
  const view = new DataView(head.buffer, head.byteOffset)
  if (!layout.key.every((byte, i) => head[32 + i] === byte))
    throw new FormatError(
      where,
      'belongs to another store (another teacher, other temperatures, rows or preprocessing); put the right file back',
    )
  if (view.getUint32(12, true) !== index)
    throw new FormatError(where, `is shard ${view.getUint32(12, true)} of this store in the place of shard ${index}`)
  throw new FormatError(where, 'its head is damaged; fill the store again')
}

/** @throws FormatError where the file ends before */
export async function readExactly(
  handle: Pick<FileHandle, 'read'>,
  where: string,
  position: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(out, done, Math.min(length - done, 1 << 30), position + done)
    if (bytesRead === 0) throw new FormatError(where, `ends after ${position + done} bytes; it was cut`)
    done += bytesRead
  }
  return out
}
