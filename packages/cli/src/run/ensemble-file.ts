import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'
import { FormatError } from '@imago/tensor'

/** What `imago ensemble select` has written. */
export interface EnsembleFile {
  readonly average: 'arithmetic' | 'geometric'
  /** Members whose weight is above 0. */
  readonly members: readonly { readonly file: string; readonly sha256: string; readonly weight: number }[]
}

/** Read it; a member's file is looked for from where the command runs, else beside the ensemble's own. @throws FormatError naming the field */
export async function readEnsembleFile(path: string, exists: (file: string) => boolean): Promise<EnsembleFile> {
  const refuse = (problem: string): never => {
    throw new FormatError(path, problem)
  }
  let value: { imago?: unknown; version?: unknown; average?: unknown; members?: unknown }
  try {
    value = JSON.parse(await readFile(path, 'utf8')) as typeof value
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new FormatError(path, `is not JSON (${cause.message})`, { cause })
  }
  if (value?.imago !== 'ensemble' || value.version !== 1)
    refuse('is no ensemble of version 1 as imago ensemble select writes it')
  const { average, members } = value
  if (average !== 'arithmetic' && average !== 'geometric') return refuse('average must be arithmetic or geometric')
  if (!Array.isArray(members) || members.length === 0) return refuse('members must be a list with at least one member')
  const found = members.map((member: { file?: unknown; sha256?: unknown; weight?: unknown } | null, i) => {
    const { file, sha256, weight } = member ?? {}
    if (typeof file !== 'string') return refuse(`members[${i}].file must be a text`)
    if (typeof sha256 !== 'string') return refuse(`members[${i}].sha256 must be a text`)
    if (typeof weight !== 'number' || !(weight >= 0 && weight < Infinity))
      return refuse(`members[${i}].weight must be a finite number ≥ 0`)
    const beside = isAbsolute(file) || exists(file) ? file : resolve(dirname(path), file)
    return { file: beside, sha256, weight }
  })
  const counting = found.filter(({ weight }) => weight > 0)
  if (counting.length === 0) refuse('no member has a weight above 0')
  return { average, members: counting }
}
