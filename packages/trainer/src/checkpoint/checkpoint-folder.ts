import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { removePartial, writeAtomic } from '@imago/data/files'
import { FormatError, StateError } from '@imago/tensor'
import type { CheckpointStore, TrainingState } from '../state.js'
import { decodeState, encodeState } from './format.js'

const pattern = /^checkpoint-(\d{15})\.imago$/

/**
 * Checkpoints as files `checkpoint-<step>.imago` of one folder, one writer at a time (hold the run folder). The newest and
 * the one before it are kept, newest by step: clocks go back, steps do not. A kill or a power cut at any moment leaves the
 * last acknowledged state readable.
 *
 * `save` throws StateError where the disk refuses (full, read-only …); what was there before is intact.
 * `load` throws FormatError where files are there and none is whole.
 */
export function checkpointFolder(folder: string): CheckpointStore {
  /** The file that holds the state before the one to be written next: the only other one that is kept. */
  let previous: string | undefined

  return {
    async save(state) {
      const name = `checkpoint-${String(state.step).padStart(15, '0')}.imago`
      try {
        await mkdir(folder, { recursive: true })
        const bytes = await writeAtomic(join(folder, name), encodeState(state), { digest: true })
        for (const other of await list(folder))
          if (other !== name && other !== previous) await rm(join(folder, other), { force: true })
        previous = name
        return { bytes }
      } catch (cause) {
        if (!isSystemError(cause)) throw cause
        throw new StateError(
          `The checkpoint of step ${state.step} could not be written to ${folder} (${cause.message})`,
          'Free space or make the folder writable, then run the same command again: it goes on from the checkpoint before',
          { cause },
        )
      }
    },
    async load() {
      const names = await list(folder)
      if (names.length > 0) await removePartial(folder)
      const warnings: string[] = []
      for (const [i, name] of names.entries()) {
        try {
          const state = await read(join(folder, name), Number(pattern.exec(name)![1]))
          previous = name
          // A kill between writing a file and removing the one that it makes superfluous leaves three.
          for (const old of names.slice(i + 2)) await rm(join(folder, old), { force: true })
          return { state, warnings }
        } catch (error) {
          if (!(error instanceof FormatError)) throw error
          warnings.push(`${error.message}; going on from the checkpoint before it`)
        }
      }
      if (names.length === 0) return undefined
      throw new FormatError(
        folder,
        `none of ${names.length} checkpoint files can be read; delete them to start from the beginning`,
      )
    },
  }
}

async function read(path: string, step: number): Promise<TrainingState> {
  const state = decodeState(await readFile(path), path)
  if (state.step !== step) throw new FormatError(path, `holds step ${state.step}, not the step of its name`)
  return state
}

/** Names of checkpoint files, the newest step first. */
async function list(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.filter((name) => pattern.test(name)).sort((a, b) => (a < b ? 1 : -1))
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'
}
