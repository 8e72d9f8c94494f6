import { createHash } from 'node:crypto'
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** Names of files that are being written: dot, the final name, the writer's pid, a counter. */
const partial = /^\..+\.\d+-\d+\.partial$/
let counter = 0

/**
 * Write a file so that its name holds the old bytes or the new ones, never a part: a temporary file in the same folder, then
 * fsync, rename, fsync of the folder. Without the fsyncs a power cut leaves a file of the right length full of zeros.
 * With `digest` the SHA-256 of all pieces is appended, 32 bytes. Resolves to the file's size.
 */
export async function writeAtomic(
  path: string,
  pieces: Iterable<Uint8Array>,
  options: { readonly digest?: boolean } = {},
): Promise<number> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${process.pid}-${counter++}.partial`)
  let bytes = 0
  try {
    const file = await open(temporary, 'wx')
    try {
      const hash = options.digest ? createHash('sha256') : undefined
      for (const piece of pieces) {
        hash?.update(piece)
        bytes += await writeAll(file, piece)
      }
      if (hash) bytes += await writeAll(file, hash.digest())
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(folder)
    return bytes
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
}

/** Remove what writers that were killed left in a folder; only for who holds the folder's lock. */
export async function removePartial(folder: string): Promise<void> {
  for (const name of await readdir(folder)) if (partial.test(name)) await rm(join(folder, name), { force: true })
}

/** A full disk shows as a short write first: go on, and the next call says ENOSPC. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<number> {
  let at = 0
  while (at < bytes.length) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at)
    at += bytesWritten
  }
  return at
}

/** A rename is on disk only once its folder is. Windows has no handle on folders, and does not need one. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
