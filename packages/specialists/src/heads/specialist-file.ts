import type { Model } from '@imago/onnx'
import { FormatError, StateError } from '@imago/tensor'
import { type ClassSet, checkClassSet } from '../sets/class-set.js'

/** What a specialist's file says about itself, in the model's metadata. */
export interface SpecialistFile {
  readonly set: ClassSet
  /** How many classes there are in all. */
  readonly classes: number
  /** |S| + 1 outputs, the last one the dustbin; or all classes (section 6.1). */
  readonly head: 'dustbin' | 'full'
  /** What has been added to the dustbin's logit after training, in nats; absent before. */
  readonly offset?: number
}

const key = 'imago.specialist'

/** The model with this said in its metadata. */
export function withSpecialistFile(model: Model, file: SpecialistFile): Model {
  const { set, classes, head, offset } = file
  const text = JSON.stringify({ version: 1, name: set.name, set: set.classes, of: classes, head, offset })
  return { ...model, metadata: new Map([...model.metadata, [key, text]]) }
}

/**
 * What a specialist's file says about itself.
 *
 * @param where the file's name, for messages
 * @param expected the set that it is thought to belong to
 * @throws FormatError where it says nothing, or what cannot be; StateError where it belongs to another set
 */
export function specialistFile(model: Model, where: string, expected?: ClassSet): SpecialistFile {
  const text = model.metadata.get(key)
  if (text === undefined)
    throw new FormatError(where, `is no specialist as specialistModel makes it: its metadata have no "${key}"`)
  let value: { [name: string]: unknown }
  try {
    value = JSON.parse(text) as typeof value
  } catch (cause) {
    throw new FormatError(where, `its metadata "${key}" are not JSON`, { cause })
  }
  const { version, name, set, of: classes, head, offset } = value ?? {}
  const isSaid =
    version === 1 &&
    typeof name === 'string' &&
    Array.isArray(set) &&
    Number.isSafeInteger(classes) &&
    (head === 'dustbin' || head === 'full') &&
    (offset === undefined || Number.isFinite(offset))
  if (!isSaid) throw new FormatError(where, `its metadata "${key}" are not those of a specialist of version 1`)
  const found = { name, classes: set as number[] }
  try {
    checkClassSet('specialistFile', found, classes as number)
  } catch (cause) {
    throw new FormatError(where, `its set is none: ${(cause as Error).message}`, { cause })
  }
  if (expected !== undefined && expected.classes.join() !== found.classes.join())
    throw new StateError(
      `${where} is a specialist for the classes ${listed(found.classes)}, not for ${listed(expected.classes)} of "${expected.name}"`,
      'Give the file that was made for this set',
    )
  return { set: found, classes: classes as number, head, ...(offset !== undefined && { offset: offset as number }) }
}

function listed(classes: readonly number[]): string {
  return `${classes.slice(0, 8).join(', ')}${classes.length > 8 ? ', …' : ''}`
}
