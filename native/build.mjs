// Builds native/build/Release/imago_native.node with cmake-js.
//
//   IMAGO_NATIVE=auto      (default) build; without a compiler or CMake warn and succeed: the TypeScript kernels serve then
//   IMAGO_NATIVE=off       do nothing
//   IMAGO_NATIVE=required  a build that fails is an error
//   IMAGO_CUDA=1           ask for the CUDA kernels too (this version has none, and says so)
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const here = import.meta.dirname
const output = path.join(here, 'build', 'Release', 'imago_native.node')
const mode = process.env.IMAGO_NATIVE ?? 'auto'

if (!['auto', 'off', 'required'].includes(mode)) {
  console.error(`IMAGO_NATIVE must be auto, off or required; got ${mode}`)
  process.exit(1)
}
if (mode === 'off') {
  console.log('native: not built (IMAGO_NATIVE=off)')
  process.exit(0)
}

const failure = build()
if (failure === undefined) {
  console.log(`native: built ${path.relative(process.cwd(), output) || output}`)
} else if (mode === 'required') {
  console.error(
    `native: ${failure}\nIMAGO_NATIVE=required asks for the addon: install CMake ≥ 3.21 and a C++20 compiler.`,
  )
  process.exit(1)
} else {
  console.warn(`native: not built, the TypeScript kernels are used instead (slower, same results): ${failure}`)
}

/** The reason why there is no addon now, or undefined after a build. */
function build() {
  if (process.env.IMAGO_CUDA === '1') console.warn('native: IMAGO_CUDA=1: this version has no CUDA kernels; C++ only')
  let cmakeJs
  try {
    cmakeJs = path.join(
      path.dirname(createRequire(import.meta.url).resolve('cmake-js/package.json')),
      'bin',
      'cmake-js',
    )
  } catch {
    return 'cmake-js is not installed (npm ci installs it)'
  }
  if (spawnSync('cmake', ['--version']).status !== 0) return 'CMake was not found'
  const run = spawnSync(process.execPath, [cmakeJs, 'compile', '--directory', here, '--parallel', '2'], {
    cwd: here,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (run.status === 0 && existsSync(output)) return undefined
  const log = `${run.stdout ?? ''}${run.stderr ?? ''}`
  if (mode === 'required' || process.env.IMAGO_NATIVE_VERBOSE === '1') process.stderr.write(log)
  const lines = log.split('\n')
  const first = lines.find((line) => /CMake Error|error:|not available|not found/.test(line)) ?? lines.at(-1)
  return `cmake-js failed: ${first?.trim() ?? run.error?.message} (all of it: IMAGO_NATIVE=required node build.mjs)`
}
