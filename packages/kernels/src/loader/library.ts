import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ArgumentError, FormatError, NotFoundError, UnsupportedError } from '@imago/tensor'
import type { Binding, NativeLibrary } from '../binding.js'
import { truncated } from './truncated.js'

/** A library as the addon opened it, and its absolute path. */
export interface OpenedLibrary extends NativeLibrary {
  readonly path: string
}

/**
 * Open a library of kernels.
 * @throws ArgumentError for what is no path, NotFoundError where there is no file, UnsupportedError for another version of the ABI,
 * FormatError naming file, field, what it must be and what it is
 */
export function openLibrary(caller: string, binding: Binding, location: unknown): OpenedLibrary {
  if (!(location instanceof URL) && (typeof location !== 'string' || location === '' || location.includes('\0')))
    throw new ArgumentError(caller, 'path', 'the path of a library of kernels, or its file: URL', location)
  const path = resolve(location instanceof URL ? fileURLToPath(location) : location)
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) throw new NotFoundError(`${caller}: there is no file ${path}`, 'Build the library first')
  if (!stat.isFile()) throw new FormatError(path, 'must be a shared library, got a folder or device')
  const missing = truncated(path)
  if (missing !== null) throw new FormatError(path, missing)
  try {
    return { ...binding.loadLibrary(path), path }
  } catch (error) {
    throw refusal(path, error)
  }
}

function refusal(path: string, error: unknown): unknown {
  const { field, expected, got } = error as { field?: string; expected?: string; got?: string }
  if (field === undefined) return error
  const problem = `must be ${expected}, got ${got}`
  if (field === 'abi_version') return new UnsupportedError(`${path}, abi_version`, problem, { cause: error })
  return new FormatError(field === '' ? path : `${path}, ${field}`, problem, { cause: error })
}
