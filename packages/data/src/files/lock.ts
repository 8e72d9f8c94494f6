import { link, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { StateError } from '@imago/tensor'

/**
 * Locks that this process holds or is about to. A lock with our pid that is not here was left by a process that had the same
 * number: pids are few in a container.
 */
const held = new Set<string>()
let counter = 0

interface Holder {
  readonly pid: number
  readonly host: string
  /** Tells two locks of one process apart. */
  readonly nonce: string
}

/** A live process holds the folder: waiting may help. */
export class FolderInUse extends StateError {
  constructor(folder: string, path: string, { pid, host }: Pick<Holder, 'pid' | 'host'>) {
    super(
      `${folder} is in use by process ${pid} on ${host}`,
      `Wait for it, choose another folder, or delete ${path} if that process is not imago`,
    )
  }
}

/**
 * Take a folder for this process, by a file of this name in it; resolves to the function that gives it back. The lock of a process
 * that is no longer alive is taken over.
 *
 * @throws FolderInUse naming the holder's pid and host
 */
export async function lockFolder(folder: string, name = 'run.lock'): Promise<() => Promise<void>> {
  const release = await take(folder, join(folder, name), 0)
  try {
    await removeLeft(folder)
    return release
  } catch (error) {
    await release()
    throw error
  }
}

async function take(folder: string, path: string, depth: number): Promise<() => Promise<void>> {
  const nonce = `${process.pid}-${counter++}-${Math.trunc(performance.timeOrigin)}`
  const own = join(folder, `.lock.${nonce}`)
  await writeFile(own, `${JSON.stringify({ pid: process.pid, host: hostname(), nonce } satisfies Holder)}\n`)
  held.add(nonce)
  let got = false
  try {
    // A few rounds: between two looks the holder may end, or another process may be faster.
    for (let round = 0; round < 20 && !got; round++) {
      got = await claim(own, path)
      if (got) break
      const holder = await holderOf(path)
      if (holder === 'none') continue
      if (holder !== 'unreadable' && isAlive(holder)) throw new FolderInUse(folder, path, holder)
      got = await takeOver(folder, path, own, depth)
    }
    if (!got) throw new StateError(`${folder} could not be locked: others keep taking it`, 'Choose another folder')
  } finally {
    if (!got) held.delete(nonce)
    await rm(own, { force: true })
  }
  return async () => {
    if (held.delete(nonce)) await rm(path, { force: true })
  }
}

/** Files of processes that ended while they took the lock: they are no more, and nobody else takes their files away. */
async function removeLeft(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith('.lock.')) continue
    const path = join(folder, name)
    const holder = await holderOf(path)
    if (holder !== 'none' && holder !== 'unreadable' && !isAlive(holder)) await rm(path, { force: true })
  }
}

/** A link is made whole or not at all, so that nobody reads half a lock. */
async function claim(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/**
 * Replace the lock of a dead holder. Only who holds the lock of the lock may, and looks again first: else the second of two
 * that saw the same dead holder would push the first one's fresh lock away.
 */
async function takeOver(folder: string, path: string, own: string, depth: number): Promise<boolean> {
  if (depth > 3)
    throw new StateError(`${folder} is locked by processes that all ended while they took it`, `Delete ${path}`)
  const release = await take(folder, `${path}.over`, depth + 1)
  try {
    const holder = await holderOf(path)
    if (holder === 'none' || (holder !== 'unreadable' && isAlive(holder))) return false
    await rename(own, path)
    return true
  } finally {
    await release()
  }
}

async function holderOf(path: string): Promise<Holder | 'none' | 'unreadable'> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) return 'none'
  try {
    const value = JSON.parse(text) as Holder
    return Number.isSafeInteger(value?.pid) && value.pid > 0 && typeof value.host === 'string' ? value : 'unreadable'
  } catch {
    return 'unreadable'
  }
}

/** A holder on another machine cannot be asked, so it counts as alive. */
function isAlive({ pid, host, nonce }: Holder): boolean {
  if (host !== hostname()) return true
  if (pid === process.pid) return held.has(nonce)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
