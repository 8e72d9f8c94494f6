import type { InputMap } from '@imago/runtime'
import { sha256 } from './open-targets.js'
import type { Teachers } from './open-teachers.js'

/** By what a store knows its teachers: the digest of the only one, or that of all and of how they are combined. */
export function teacherName({ config }: Pick<Teachers, 'config'>, temperature: number): string {
  const { teacher, combine, weights } = config
  if (typeof teacher === 'string') return teacher
  return sha256(
    JSON.stringify({ teacher, combine, ...(weights && { weights }), ...(combine === 'arithmetic' && { temperature }) }),
  )
}

/** By what a store knows how rows reached the teacher. */
export function preprocessingName(map: InputMap | undefined, output: string | undefined): string {
  if (map === undefined && output === undefined) return 'none'
  const sorted = map && Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)))
  return sha256(JSON.stringify({ map: sorted, output }))
}
