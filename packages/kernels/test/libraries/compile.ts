import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { native } from '../../src/index.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const include = fileURLToPath(new URL('../../../../native/include', import.meta.url))

/** Why libraries cannot be built and loaded here, or null. */
export function whyNot(...compilers: string[]): string | null {
  if (process.platform === 'win32') return 'the test libraries are built by cc'
  if (native().binding === null) return 'no addon'
  const missing = compilers.find((compiler) => spawnSync(compiler, ['--version']).status !== 0)
  return missing === undefined ? null : `no ${missing}`
}

let folder: string | undefined
const built = new Map<string, string>()
afterAll(() => folder && rmSync(folder, { recursive: true }))

/** Build a library of kernels from a source beside this file; gives the path of the shared object. */
export function compile(source: string, ...flags: string[]): string {
  const key = [source, ...flags].join(' ')
  const known = built.get(key)
  if (known !== undefined) return known
  if (folder === undefined) {
    folder = mkdtempSync(join(tmpdir(), 'imago-library-'))
  }
  const cpp = source.endsWith('.cc')
  const out = join(folder, `${basename(source).replace('.', '-')}-${built.size}.so`)
  const sanitize = process.env.IMAGO_SANITIZE ? [`-fsanitize=${process.env.IMAGO_SANITIZE}`, '-g1'] : []
  const args = [
    '-shared',
    '-fPIC',
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    `-I${include}`,
    ...flags,
    ...sanitize,
    '-o',
    out,
  ]
  const run = spawnSync(cpp ? 'c++' : 'cc', [cpp ? '-std=c++17' : '-std=c11', ...args, join(here, source)], {
    encoding: 'utf8',
  })
  if (run.status !== 0) throw new Error(run.stderr)
  built.set(key, out)
  return out
}

/** The error of a call; a test without one fails. */
export function thrown(call: () => unknown): Error & { code?: string } {
  try {
    call()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}
