import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { lockFolder, removePartial, writeAtomic } from '@imago/data/files'
import { ArgumentError, FormatError, StateError } from '@imago/tensor'
import { differences } from '../differences.js'
import type { JsonObject } from '../json.js'
import type { CheckpointStore } from '../state.js'
import { checkpointFolder } from './checkpoint-folder.js'
import { type MetricsLog, metricsLog } from './metrics-log.js'

/** A folder that belongs to one run, held by this process. */
export interface RunFolder {
  readonly path: string
  /** True where the run was begun before. */
  readonly begun: boolean
  readonly checkpoints: CheckpointStore
  /** `metrics.jsonl`. */
  readonly metrics: MetricsLog
  /** Write a file of this folder, whole or not at all. Text or bytes; the name has no folders. Returns its path. */
  write(name: string, content: string | Uint8Array): Promise<string>
  /** The bytes of a file of this folder, or undefined where there is none. */
  read(name: string): Promise<Uint8Array | undefined>
  /** The path of a folder inside, for a part of the run that is claimed by itself. */
  inside(name: string): string
  /**
   * Give the folder back. A run that has written nothing leaves nothing, not even the folder, unless it is to be kept: marked as
   * this run's for others who work inside it. Idempotent.
   */
  release(options?: { readonly keep?: boolean }): Promise<void>
}

const marker = 'run.json'

/**
 * Claim a folder for the run that `config` describes: make it, or go on with it where it holds the same run.
 *
 * @throws StateError where the folder holds another run (each difference named), files that are no run, or a live process
 */
export async function claimRunFolder(path: string, config: JsonObject): Promise<RunFolder> {
  await makeFolder(path)
  const release = await lockFolder(path)
  try {
    const begun = await checkMarker(path, config)
    await removePartial(path)
    let released = false
    if (!begun) await writeAtomic(join(path, marker), [encode(`${JSON.stringify({ imago: 1, config }, null, 2)}\n`)])
    return {
      path,
      begun,
      checkpoints: checkpointFolder(path),
      metrics: metricsLog(join(path, 'metrics.jsonl')),
      async write(name, content) {
        const target = join(path, plain(name))
        await writeAtomic(target, [typeof content === 'string' ? encode(content) : content])
        return target
      },
      read: (name) => readIfThere(join(path, plain(name))),
      inside: (name) => join(path, plain(name)),
      async release({ keep = begun } = {}) {
        if (released) return
        released = true
        if (!keep && (await contents(path)).join() === marker) await rm(join(path, marker), { force: true })
        await release()
        // Only an empty folder goes.
        if (!keep) await rmdir(path).catch(() => undefined)
      },
    }
  } catch (error) {
    await release()
    throw error
  }
}

/** A file of a run folder that this process need not hold: results of a part that is done. */
export async function readRunFile(path: string, name: string): Promise<Uint8Array | undefined> {
  return readIfThere(join(path, plain(name)))
}

/** What a folder holds beside locks and hidden files. */
async function contents(path: string): Promise<string[]> {
  const names = await readdir(path).catch(() => [])
  return names.filter((name) => !name.startsWith('.') && !name.startsWith('run.lock'))
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (cause) {
    throw new StateError(
      `${path} cannot be made a run folder (${(cause as Error).message})`,
      'Choose a folder that does not exist yet, or an empty one',
      { cause },
    )
  }
}

/** True where the run is there already, false where the folder is empty. */
async function checkMarker(path: string, config: JsonObject): Promise<boolean> {
  const bytes = await readIfThere(join(path, marker))
  if (!bytes) {
    const others = await contents(path)
    if (others.length === 0) return false
    throw new StateError(
      `${path} holds files that are no imago run (${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''})`,
      'Choose a folder that does not exist yet, or an empty one',
    )
  }
  const there = parseMarker(join(path, marker), bytes)
  const differ = differences(there, JSON.parse(JSON.stringify(config)) as JsonObject)
  if (differ.length === 0) return true
  throw new StateError(
    `${path} belongs to another run (${differ.join('; ')})`,
    'Choose another folder, or give the options of that run to go on with it',
  )
}

function parseMarker(where: string, bytes: Uint8Array): JsonObject {
  try {
    const value = JSON.parse(new TextDecoder().decode(bytes)) as { imago?: unknown; config?: JsonObject }
    if (value?.imago === 1 && typeof value.config === 'object' && value.config !== null) return value.config
  } catch {
    // Said below.
  }
  throw new FormatError(where, 'not the description of an imago run; choose another folder')
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Names come from people too: none of them may leave the folder. */
function plain(name: string): string {
  if (name !== '' && name === basename(name) && name !== '.' && name !== '..' && !name.includes('\\')) return name
  throw new ArgumentError('RunFolder', 'name', 'a plain file name', name)
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
