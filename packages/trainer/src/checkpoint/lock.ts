import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { StateError } from '@imago/tensor'

const name = 'run.lock'

/** Locks of this process. A lock with our pid that is not here was left by a process that had the same number. */
const held = new Set<string>()
let counter = 0

interface Holder {
  readonly pid: number
  readonly host: string
}

/**
 * Take a folder for this process; resolves to the function that gives it back. The lock of a process that is no longer
 * alive is taken over.
 *
 * @throws StateError naming the holder's pid and host
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, name)
  const own = join(folder, `.${name}.${process.pid}-${counter++}`)
  const text = `${JSON.stringify({ pid: process.pid, host: hostname() })}\n`
  await writeFile(own, text, { flag: 'wx' })
  try {
    // A few rounds: between two looks the holder may end, or another process may take over first.
    for (let round = 0; round < 20; round++) {
      if (await claim(own, path)) {
        held.add(path)
        return async () => {
          if (held.delete(path)) await rm(path, { force: true })
        }
      }
      const found = await readFile(path, 'utf8').catch(() => undefined)
      if (found === undefined) continue
      const holder = parse(found)
      if (holder && isAlive(holder, path))
        throw new StateError(
          `${folder} is in use by process ${holder.pid} on ${holder.host}`,
          `Wait for it, choose another folder, or delete ${path} if that process is not imago`,
        )
      await takeAway(path, found, `${own}.stale`)
    }
    throw new StateError(`${folder} could not be locked: other processes keep taking it`, 'Choose another folder')
  } finally {
    await rm(own, { force: true })
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

/** Move a dead holder's lock away. Where another process was faster, what was moved is its lock: put it back. */
async function takeAway(path: string, expected: string, aside: string): Promise<void> {
  try {
    await rename(path, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if ((await readFile(aside, 'utf8')) !== expected) await link(aside, path).catch(() => {})
  await rm(aside, { force: true })
}

function parse(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Holder
    return Number.isSafeInteger(value?.pid) && value.pid > 0 && typeof value.host === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

/** A holder on another machine cannot be asked, so it counts as alive. */
function isAlive({ pid, host }: Holder, path: string): boolean {
  if (host !== hostname()) return true
  if (pid === process.pid) return held.has(path)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
