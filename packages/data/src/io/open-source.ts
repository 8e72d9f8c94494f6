import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ArgumentError, FormatError, NotFoundError, StateError } from '@imago/tensor'

/** Where data comes from: a path, a file URL or the bytes themselves. */
export type DataSource = string | URL | Uint8Array

/** A file or bytes of known size, read piece by piece. */
export interface OpenSource {
  /** The path, or `bytes`: how errors call it. */
  readonly name: string
  readonly size: number
  /** A copy of the bytes at `position`; fewer than `length` only at the end. */
  read(position: number, length: number): Promise<Uint8Array>
}

/**
 * Open a source for `use` and close it afterwards. Only a regular file is taken (a FIFO would block for ever, a folder has no
 * bytes), and one that changes while it is read is refused, so that what `use` saw is one consistent file.
 *
 * @throws NotFoundError, FormatError for what is no regular file, StateError for a file that changed
 */
export async function withSource<T>(source: DataSource, use: (file: OpenSource) => Promise<T>): Promise<T> {
  if (source instanceof Uint8Array) return use(fromBytes(source))
  if (typeof source !== 'string' && !(source instanceof URL))
    throw new ArgumentError('data', 'source', 'a path, a file URL or a Uint8Array', source)
  const path = typeof source === 'string' ? source : fileURLToPath(source)
  const handle = await openRegular(path)
  try {
    const before = await handle.stat()
    const { size } = before
    const read = (at: number, length: number) => readAt(handle, path, at, Math.min(length, Math.max(0, size - at)))
    const result = await use({ name: path, size, read })
    const after = await handle.stat()
    if (after.size !== before.size || after.mtimeMs !== before.mtimeMs) throw changed(path)
    return result
  } finally {
    await handle.close()
  }
}

/** What is unpacked is held in memory, as it is and unpacked: more than this of either is refused. */
export const MOST_IN_MEMORY: number = 2 ** 32

/** The whole of a packed source. */
export async function readAll(file: OpenSource): Promise<Uint8Array<ArrayBuffer>> {
  if (file.size > MOST_IN_MEMORY)
    throw new FormatError(file.name, `has ${file.size} bytes; at most ${MOST_IN_MEMORY} are unpacked in memory`)
  return (await file.read(0, file.size)) as Uint8Array<ArrayBuffer>
}

function fromBytes(bytes: Uint8Array): OpenSource {
  return {
    name: 'bytes',
    size: bytes.byteLength,
    read: async (position, length) => new Uint8Array(bytes.subarray(position, position + length)),
  }
}

async function openRegular(path: string): Promise<FileHandle> {
  try {
    const found = await stat(path)
    if (found.isDirectory()) throw new FormatError(path, 'is a folder where a file is needed')
    if (!found.isFile()) throw new FormatError(path, 'is not a regular file')
    // Not blocking: what stat saw may have been replaced by a FIFO since.
    return await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (cause) {
    if (cause instanceof FormatError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new NotFoundError(`There is no file ${path}`, 'Check the path', { cause })
    throw new NotFoundError(`${path} cannot be opened (${code ?? cause})`, 'Check its permissions', { cause })
  }
}

/** `length` bytes that were there when the file was opened. */
async function readAt(handle: FileHandle, path: string, position: number, length: number): Promise<Uint8Array> {
  const out = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(out, done, Math.min(length - done, 1 << 30), position + done)
    if (bytesRead === 0) throw changed(path)
    done += bytesRead
  }
  return out
}

function changed(path: string): StateError {
  return new StateError(`${path} changed while it was read`, 'Read it again when nothing writes to it')
}
