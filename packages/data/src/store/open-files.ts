import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { FormatError, StateError } from '@imago/tensor'
import { shardName } from './manifest.js'

/** The shards of a folder, opened when they are needed; a few are kept open. */
export interface OpenFiles {
  use<T>(index: number, read: (handle: FileHandle, where: string) => Promise<T>): Promise<T>
  close(): Promise<void>
}

const most = 256

export function openFiles(folder: string): OpenFiles {
  const open_ = new Map<number, { readonly handle: Promise<FileHandle>; users: number }>()
  let closed = false

  /** Close those that have waited longest, never one that is being read. */
  const shrink = async (): Promise<void> => {
    for (const [index, { handle, users }] of open_) {
      if (open_.size <= most) return
      if (users > 0) continue
      open_.delete(index)
      await (await handle).close()
    }
  }
  return {
    async use(index, read) {
      if (closed) throw new StateError(`the store ${folder} is closed`, 'Open it again')
      const where = join(folder, shardName(index))
      const entry = open_.get(index) ?? { handle: openShard(where), users: 0 }
      // Moved to the end: the map's order is that of use.
      open_.delete(index)
      open_.set(index, entry)
      entry.users++
      try {
        return await read(await entry.handle, where)
      } catch (error) {
        if (!closed) await entry.handle.catch(() => open_.delete(index))
        throw error
      } finally {
        entry.users--
        if (open_.size > most) await shrink()
      }
    },
    async close() {
      closed = true
      const all = [...open_.values()]
      open_.clear()
      for (const { handle } of all) await handle.then((file) => file.close()).catch(() => undefined)
    },
  }
}

async function openShard(path: string): Promise<FileHandle> {
  try {
    const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    if ((await handle.stat()).isFile()) return handle
    await handle.close()
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const what = code === 'ENOENT' ? 'is missing' : `cannot be opened (${code})`
    throw new FormatError(path, `${what}, and the manifest lists it; fill the store again`, { cause })
  }
  throw new FormatError(path, 'is not a regular file')
}
