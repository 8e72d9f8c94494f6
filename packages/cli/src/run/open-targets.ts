import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { type Batches, checkServes, fromStore, openStore, type Store } from '@imago/data'
import { arithmetic, ensembleTargets, geometric } from '@imago/ensembles'
import { type Loss, softTarget, topKSoftTarget } from '@imago/losses'
import type { Student } from '@imago/runtime'
import { ArgumentError, NotFoundError, StateError, type Targets } from '@imago/tensor'
import type { JsonObject } from '@imago/trainer'

export interface TargetsOptions {
  /** A store of soft targets, or several with commas between. */
  readonly targets: string
  readonly combine?: 'geometric' | 'arithmetic'
  readonly temperature: number
  readonly hardWeight: number
  readonly jitter: number
  readonly views?: number
}

export interface StoredTargets {
  readonly targets: Targets
  /** The loss that reads what is stored. */
  readonly loss: Loss
  /** SHA-256 of those who filled the stores. */
  readonly teachers: readonly string[]
  /** What makes these targets others than those of another run. */
  readonly config: JsonObject
  /** Hold student and training rows against the stores, before anything is trained or written. */
  readonly check: (student: Student, training: Batches) => Promise<void>
  readonly close: () => Promise<void>
}

/**
 * The stores that `--targets` names, as one maker of targets.
 *
 * @param teacher the digest of the teacher that is said to have filled the store
 */
export async function openTargets(options: TargetsOptions, teacher?: string): Promise<StoredTargets> {
  const { temperature, hardWeight, jitter } = options
  if (jitter > 0 && options.views === undefined)
    throw new ArgumentError(
      'imago',
      '--jitter',
      'given with --views where targets are stored: they are of what the teacher saw, not of images that are moved anew in every epoch',
      jitter,
    )
  const folders = foldersOf(options.targets)
  if (folders.length === 1 && options.combine !== undefined)
    throw new ArgumentError('imago', '--combine', 'left out where there is one store', options.combine)
  const stores: Store[] = []
  const close = async (): Promise<void> => {
    for (const store of stores) await store.close()
  }
  try {
    for (const folder of folders) {
      const store = await openStore(folder, { threads: 4, ...(teacher !== undefined && { expect: { teacher } }) })
      stores.push(store)
      if (!store.complete)
        throw new StateError(
          `${folder} is not finished: it has ${store.rows} of ${store.identity.rows} rows`,
          'Run the same imago teach again: it goes on where it stopped',
        )
      checkServes(folder, store.identity.encoding, temperature)
    }
    const targets = together(stores, options)
    const full = stores.every(({ identity }) => identity.encoding.kind === 'full')
    const settings = { temperature, hardWeight }
    const digests = stores.map(({ identity }) => sha256(JSON.stringify(identity)))
    const check = (student: Student, training: Batches): Promise<void> => checkFit(stores, targets, student, training)
    return {
      targets,
      loss: full ? softTarget(settings) : topKSoftTarget(settings),
      config: { targets: digests, ...(options.combine !== undefined && { combine: options.combine }) },
      teachers: stores.map(({ identity }) => identity.teacher),
      check,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function together(stores: readonly Store[], { combine = 'geometric', temperature }: TargetsOptions): Targets {
  const members = stores.map((store) => fromStore(store, { temperature }))
  if (members.length === 1) return members[0]!
  const part = stores.find(({ identity }) => identity.encoding.kind !== 'full')
  if (part)
    throw new ArgumentError(
      'imago',
      '--targets',
      'one store, or several of full logits: the classes that others keep are not the same',
      part.folder,
    )
  const how = combine === 'geometric' ? geometric() : arithmetic({ temperature })
  return ensembleTargets(members, how, { names: stores.map(({ folder }) => folder) })
}

/** As many classes, the inputs of the first batch, and every row. */
async function checkFit(
  stores: readonly Store[],
  targets: Targets,
  student: Student,
  training: Batches,
): Promise<void> {
  let first = true
  for await (const { ids, inputs } of training.epoch(0)) {
    if (first) {
      const { logits } = await student.predict(student.parameters)(inputs)
      const classes = logits!.dims.at(-1)!
      const other = stores.find(({ identity }) => identity.classes !== classes)
      if (other)
        throw new ArgumentError(
          'imago',
          '--targets',
          `of ${classes} classes, as many as the student has`,
          `${other.folder} of ${other.identity.classes}`,
        )
      await targets({ ids, inputs })
      first = false
    }
    for (const store of stores) store.find(ids)
  }
}

/** A folder whose own name has a comma is that folder. */
function foldersOf(text: string): string[] {
  if (!text.includes(',') || existsSync(text)) return [text]
  const folders = text.split(',').map((folder) => folder.trim())
  if (folders.includes('')) throw new ArgumentError('imago', '--targets', 'folders with one comma between two', text)
  return folders
}

/** What tells a text from others. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

export function needTeacher<T>(teacher: T | undefined): T {
  if (teacher !== undefined) return teacher
  throw new NotFoundError('There is no teacher', 'Give --teacher, or --targets with what one said')
}
