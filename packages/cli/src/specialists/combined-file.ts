import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { type Model, readModel } from '@imago/onnx'
import { type InputMap, type Predictor, type PredictorOptions, predictor } from '@imago/runtime'
import { combineSpecialists, type Expert, specialistFile } from '@imago/specialists'
import { FormatError, StateError } from '@imago/tensor'
import { digestOf } from '../run/student-model.js'

/** A generalist and specialists as one teacher: what `imago specialists combine` writes and `--teacher` takes. */
export interface CombinedFile {
  readonly imago: 'specialists'
  readonly version: 1
  readonly generalist: FileDigest
  readonly specialists: readonly FileDigest[]
  readonly topN: number
  readonly input?: { readonly [name: string]: unknown }
  readonly output?: string
}

export interface FileDigest {
  readonly file: string
  readonly sha256: string
}

/** A combination with its models open. */
export interface Combined {
  /** `logits`, `active`, `unsolved`. */
  readonly predictor: Predictor
  readonly generalist: Predictor
  /** Of the specialists. */
  readonly experts: readonly Expert[]
  /** Of the generalist, then of the specialists. */
  readonly digests: readonly string[]
}

/** What a .json of imago's says that it is; undefined where it says nothing. */
export async function kindOf(path: string): Promise<unknown> {
  try {
    return (JSON.parse(await readFile(path, 'utf8')) as { imago?: unknown } | null)?.imago
  } catch {
    return undefined
  }
}

/** @throws FormatError naming the field */
export async function readCombinedFile(path: string): Promise<CombinedFile> {
  const value = JSON.parse(await readFile(path, 'utf8')) as Partial<CombinedFile>
  const refuse = (problem: string): never => {
    throw new FormatError(path, problem)
  }
  if (value?.imago !== 'specialists' || value.version !== 1)
    refuse('is no combination of version 1 as imago specialists combine writes it')
  const { generalist, specialists, topN, input, output } = value
  const isFile = (one: FileDigest | undefined): boolean =>
    typeof one?.file === 'string' && typeof one.sha256 === 'string'
  if (!isFile(generalist)) refuse('generalist must be { file, sha256 }')
  if (!Array.isArray(specialists) || !specialists.every(isFile))
    refuse('specialists must be a list of { file, sha256 }')
  if (!Number.isSafeInteger(topN) || topN! < 1) refuse('topN must be a whole number ≥ 1')
  if (input !== undefined && (typeof input !== 'object' || input === null)) refuse('input must be an object')
  if (output !== undefined && typeof output !== 'string') refuse('output must be a text')
  return value as CombinedFile
}

/**
 * Open a combination. Files are looked for from where the command runs, else beside the description.
 *
 * @param settings of ONNX Runtime; how rows reach the models is the description's own
 * @throws StateError for a model that is not the one that was combined, FormatError, UnsupportedError
 */
export async function openCombined(
  path: string,
  combined: CombinedFile,
  settings: Pick<PredictorOptions, 'threads'>,
): Promise<Combined> {
  const opened: Predictor[] = []
  const dispose = async (): Promise<void> => {
    for (const one of opened) await one.dispose()
  }
  const map = combined.input && { map: combined.input as InputMap }
  const read = async ({ file, sha256 }: FileDigest): Promise<[model: Model, where: string]> => {
    const where = isAbsolute(file) || existsSync(file) ? file : resolve(dirname(path), file)
    const model = await readModel(where)
    if (digestOf(model) !== sha256)
      throw new StateError(`${where} is not the model that ${path} was made of`, 'Combine again')
    return [model, where]
  }
  try {
    const [model] = await read(combined.generalist)
    const { output } = combined
    const generalist = await predictor(model, { ...settings, ...map, ...(output !== undefined && { output }) })
    opened.push(generalist)
    const experts: Expert[] = []
    for (const one of combined.specialists) {
      const [own, where] = await read(one)
      const { set, head } = specialistFile(own, where)
      const predict = await predictor(own, { ...settings, ...map })
      opened.push(predict)
      experts.push({ set, head, predict })
    }
    const predict = combineSpecialists({ generalist, experts, topN: combined.topN })
    const whole = Object.assign(predict, { dispose })
    // Not by Object.assign: the models' notes grow until their first rows have come out.
    Object.defineProperty(whole, 'notes', { get: () => [...new Set(opened.flatMap(({ notes }) => notes))] })
    const digests = [combined.generalist, ...combined.specialists].map(({ sha256 }) => sha256)
    return { predictor: whole as unknown as Predictor, generalist, experts, digests }
  } catch (error) {
    await dispose()
    throw error
  }
}
