import { FormatError } from '@imago/tensor'

/**
 * The parts of an external data location, checked to stay inside the model's folder whatever platform reads it. Nothing is
 * unescaped: `%2e%2e` is a file name like any other.
 * @throws FormatError
 */
export function locationParts(location: string, where: string): readonly string[] {
  const refuse = (why: string): never => {
    throw new FormatError(
      where,
      `external data location ${JSON.stringify(location.slice(0, 200))} ${why}; it must be a path below the model's folder`,
    )
  }
  if (location === '') refuse('is empty')
  if (location.includes('\0')) refuse('has a NUL character')
  if (/^[A-Za-z]:/.test(location)) refuse('names a drive')
  if (location.includes('\\')) refuse('has a backslash')
  if (location.startsWith('/')) refuse('is absolute')
  const parts = location.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) refuse('leaves the folder')
  if (parts.length === 0) refuse('names no file')
  return parts
}
