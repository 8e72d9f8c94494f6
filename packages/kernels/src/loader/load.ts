import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve as resolvePath } from 'node:path'
import type { Binding } from '../binding.js'
import { candidates, type Surroundings } from './candidates.js'
import { libc } from './libc.js'
import { truncated } from './truncated.js'

/** The version of the C ABI (IMAGO_ABI_VERSION in native/include/imago/kernel.h) that these faces speak. */
export const abiVersion = 2

/** One place that was tried for the addon; `reason` says why it is not used. */
export interface LoadAttempt {
  readonly path: string | null
  readonly reason: string | null
}

export interface Loaded {
  readonly binding: Binding | null
  /** The file that is in use. */
  readonly path: string | null
  readonly attempts: readonly LoadAttempt[]
  /** True where IMAGO_NATIVE=off asked for no addon. */
  readonly off: boolean
}

let loaded: Loaded | undefined

/** The addon, searched for once per thread. */
export function native(): Loaded {
  loaded ??= search(here(), createRequire(import.meta.url))
  return loaded
}

function here(): Surroundings {
  const { resolve } = createRequire(import.meta.url)
  return { env: process.env, platform: process.platform, arch: process.arch, libc, resolve }
}

/** Try the candidates in order and keep a note of each. */
export function search(surroundings: Surroundings, load: (path: string) => unknown): Loaded {
  if (surroundings.env.IMAGO_NATIVE === 'off') {
    const attempts = [{ path: null, reason: 'switched off by IMAGO_NATIVE=off' }]
    return { binding: null, path: null, attempts, off: true }
  }
  const attempts: LoadAttempt[] = []
  for (const candidate of candidates(surroundings)) {
    const path = candidate.path === null ? null : resolvePath(candidate.path)
    const outcome = path === null ? (candidate.reason ?? 'not found') : open(path, load)
    if (typeof outcome !== 'string') {
      attempts.push({ path, reason: null })
      return { binding: outcome, path, attempts, off: false }
    }
    attempts.push({ path, reason: outcome })
  }
  return { binding: null, path: null, attempts, off: false }
}

/** The binding in the file, or why there is none. */
function open(path: string, load: (path: string) => unknown): Binding | string {
  if (!existsSync(path)) return 'no such file'
  try {
    const missing = truncated(path)
    if (missing !== null) return missing
    const binding = load(path) as Partial<Binding>
    if (typeof binding.functions !== 'object' || typeof binding.kernels !== 'function')
      return 'is not an addon of imago (it exports no kernels)'
    if (binding.abiVersion !== abiVersion)
      return `speaks ABI version ${binding.abiVersion}, this @imago/kernels needs ${abiVersion}; build or install both anew`
    return binding as Binding
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? 'cannot be loaded') : String(error)
  }
}
