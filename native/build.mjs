// Builds native/build/Release/imago_native.node with cmake-js.
//
//   IMAGO_NATIVE=auto      (default) build; without a compiler or CMake warn and succeed: the TypeScript kernels serve then
//   IMAGO_NATIVE=off       do nothing
//   IMAGO_NATIVE=required  a build that fails is an error
//   IMAGO_CUDA=auto        (default) native/build/Release/imago_cuda.so too, where nvcc works; says why not otherwise
//   IMAGO_CUDA=1           without nvcc the build fails
//   IMAGO_CUDA=0           no CUDA
//   IMAGO_CUDA_ARCHS       for which architectures, as CMake lists them: "75-real;80-real;90"
//
// `node build.mjs --emulation` builds imago_cuda_emulated.so as well: the CUDA kernels over an emulated device, for tests.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const here = import.meta.dirname
const output = path.join(here, 'build', 'Release', 'imago_native.node')
const mode = process.env.IMAGO_NATIVE ?? 'auto'

const cuda = { auto: 'auto', 1: 'on', 0: 'off' }[process.env.IMAGO_CUDA || 'auto']
if (cuda === undefined) {
  console.error(`IMAGO_CUDA must be auto, 1 or 0; got ${process.env.IMAGO_CUDA}`)
  process.exit(1)
}
if (!['auto', 'off', 'required'].includes(mode)) {
  console.error(`IMAGO_NATIVE must be auto, off or required; got ${mode}`)
  process.exit(1)
}
if (mode === 'off') {
  console.log('native: not built (IMAGO_NATIVE=off)')
  process.exit(0)
}

const options = { cwd: here, encoding: 'utf8', maxBuffer: 1 << 28 }
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
  const settings = [`--CDIMAGO_CUDA=${cuda}`]
  if (process.env.IMAGO_CUDA_ARCHS) settings.push(`--CDIMAGO_CUDA_ARCHS=${process.env.IMAGO_CUDA_ARCHS}`)
  const run = spawnSync(
    process.execPath,
    [cmakeJs, 'compile', '--directory', here, '--parallel', '2', ...settings],
    options,
  )
  const log = `${run.stdout ?? ''}${run.stderr ?? ''}`
  const noCuda = /no CUDA kernels: .*/.exec(log)
  if (noCuda !== null) console.log(`native: ${noCuda[0]}; C++ only`)
  if (run.status === 0 && existsSync(output)) return emulation()
  if (mode === 'required' || process.env.IMAGO_NATIVE_VERBOSE === '1') process.stderr.write(log)
  const lines = log.split('\n')
  const first = lines.find((line) => /CMake Error|error:|not available|not found/.test(line)) ?? lines.at(-1)
  return `cmake-js failed: ${first?.trim() ?? run.error?.message} (all of it: IMAGO_NATIVE=required node build.mjs)`
}

/** Where --emulation asks for it: why it could not be built, or undefined. */
function emulation() {
  if (!process.argv.includes('--emulation')) return undefined
  const build = ['--build', path.join(here, 'build'), '--config', 'Release', '--parallel', '2']
  const run = spawnSync('cmake', [...build, '--target', 'imago_cuda_emulated'], options)
  if (run.status === 0) return undefined
  process.stderr.write(`${run.stdout ?? ''}${run.stderr ?? ''}`)
  return 'the emulated CUDA library could not be built'
}
