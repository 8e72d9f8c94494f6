import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ClassSet, checkClassSet } from '@imago/specialists'
import { FormatError, NotFoundError, StateError } from '@imago/tensor'

/** What `imago specialists plan` has decided, in `plan.json`. */
export interface Plan {
  readonly imago: 'specialists plan'
  readonly version: 1
  /** SHA-256 of the generalist. */
  readonly generalist: string
  /** How many classes there are in all. */
  readonly classes: number
  readonly head: 'dustbin' | 'full'
  readonly sets: readonly ClassSet[]
  /** How rows reach the models, and which of their outputs classifies, as it was told. */
  readonly input?: { readonly [name: string]: unknown }
  readonly output?: string
}

export const planFile = 'plan.json'

/** The file of a set's specialist as the plan left it. */
export function initialFile(set: ClassSet): string {
  return `${set.name}.initial.onnx`
}

/**
 * Read a plan.
 *
 * @param generalist the digest of the generalist that the caller has
 * @throws NotFoundError where there is none, FormatError naming the field, StateError where it was made for another generalist
 */
export async function readPlan(folder: string, generalist: string): Promise<Plan> {
  const path = join(folder, planFile)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new NotFoundError(`There is no plan in ${folder}`, 'Make one with imago specialists plan --out', { cause })
  }
  let plan: Partial<Plan> | null
  try {
    plan = JSON.parse(text) as Partial<Plan> | null
  } catch (cause) {
    throw new FormatError(path, `is not JSON (${(cause as Error).message})`, { cause })
  }
  const { classes, head, sets, input, output } = plan ?? {}
  if (plan?.imago !== 'specialists plan' || plan.version !== 1)
    throw new FormatError(path, 'is no plan of version 1 as imago specialists plan writes it')
  if (!Number.isSafeInteger(classes)) throw new FormatError(path, 'classes must be a whole number')
  if (head !== 'dustbin' && head !== 'full') throw new FormatError(path, 'head must be dustbin or full')
  if (!Array.isArray(sets) || sets.length === 0)
    throw new FormatError(path, 'sets must be a list with at least one set')
  for (const [i, set] of (sets as ClassSet[]).entries()) {
    try {
      checkClassSet('plan', set, classes!, `sets[${i}]`)
    } catch (cause) {
      throw new FormatError(path, (cause as Error).message.replace(/^plan: /, ''), { cause })
    }
    // It becomes the name of a folder.
    if (!/^[\w-]{1,64}$/.test(set.name))
      throw new FormatError(path, `sets[${i}].name must be up to 64 letters, digits, - and _`)
  }
  if (input !== undefined && (typeof input !== 'object' || input === null || Array.isArray(input)))
    throw new FormatError(path, 'input must be an object')
  if (output !== undefined && typeof output !== 'string') throw new FormatError(path, 'output must be a text')
  if (plan.generalist !== generalist)
    throw new StateError(`${path} was made for another generalist`, 'Give that one, or plan again')
  return plan as Plan
}
