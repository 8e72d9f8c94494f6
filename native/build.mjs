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
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
} else if (mode === 'required' || cuda === 'on') {
  const remedy =
    mode === 'required' ? 'IMAGO_NATIVE=required asks for the addon: install CMake ≥ 3.21 and a C++20 compiler.\n' : ''
  const cudaRemedy = cuda === 'on' ? 'IMAGO_CUDA=1 asks for the CUDA kernels: nvcc ≥ 12 on the PATH, or CUDACXX.\n' : ''
  console.error(`native: ${failure}\n${remedy}${cudaRemedy}`.trimEnd())
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
  const outcome = compile(cmakeJs, 'build', cuda)
  if (outcome.built) return emulation()
  const isCuda = /(FAILED: |\*\*\* ).*(imago_cuda\.dir|\.cu\b)|CMake Error[\s\S]{0,400}CUDA/.test(outcome.log)
  if (isCuda && cuda === 'on') return failed(outcome)
  // An old build folder may be what is wrong, or an nvcc that was found and is broken.
  const without = isCuda ? compile(cmakeJs, 'build', 'off') : compile(cmakeJs, 'rebuild', cuda)
  if (!without.built) return failed(outcome)
  if (!isCuda) return emulation()
  console.warn(`native: no CUDA kernels: ${firstError(outcome.log)}; C++ only (all of it: IMAGO_CUDA=1 node build.mjs)`)
  return emulation()
}

/** Configures anew where the settings are others than those of the last build, and builds. */
function compile(cmakeJs, command, cuda) {
  const folder = path.join(here, 'build')
  const stamp = path.join(folder, 'settings.json')
  const settings = { IMAGO_CUDA: cuda, IMAGO_CUDA_ARCHS: process.env.IMAGO_CUDA_ARCHS || '75-virtual;90' }
  const pairs = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  const asked = JSON.stringify({ ...settings, CUDACXX: process.env.CUDACXX })
  // What an earlier build left would be found and used.
  if (cuda === 'off') rmSync(path.join(folder, 'Release', 'imago_cuda.so'), { force: true })
  const isConfigured = existsSync(path.join(folder, 'CMakeCache.txt'))
  let log = ''
  if (isConfigured && (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== asked))
    log += outputOf(
      spawnSync('cmake', ['-U', 'CMAKE_CUDA_COMPILER', ...pairs.map((pair) => `-D${pair}`), folder], options),
    )
  const args = [command, '--directory', here, '--parallel', '2', ...pairs.map((pair) => `--CD${pair}`)]
  const run = spawnSync(process.execPath, [cmakeJs, ...args], options)
  log += outputOf(run)
  const noCuda = /no CUDA kernels: .*/.exec(log)
  if (noCuda !== null) console.log(`native: ${noCuda[0]}; C++ only`)
  if (existsSync(folder)) writeFileSync(stamp, asked)
  return { built: run.status === 0 && existsSync(output), log }
}

function outputOf(run) {
  return `${run.stdout ?? ''}${run.stderr ?? ''}${run.error?.message ?? ''}`
}

function failed({ log }) {
  if (mode === 'required' || process.env.IMAGO_NATIVE_VERBOSE === '1') process.stderr.write(log)
  return `cmake-js failed: ${firstError(log)} (all of it: IMAGO_NATIVE=required node build.mjs)`
}

function firstError(log) {
  // What follows `CMake Error at …:` on a line of its own belongs to it.
  const lines = log
    .trim()
    .replace(/(CMake Error[^\n]*:)\s*\n\s*/g, '$1 ')
    .split('\n')
  const told = [/CMake Error|error:|fatal\b/, /FAILED:|not available|not found/].flatMap(
    (words) => lines.find((line) => words.test(line)) ?? [],
  )
  return (told[0] ?? lines.at(-1)).trim()
}

/** Where --emulation asks for it. The addon is built whether or not this can be. */
function emulation() {
  if (!process.argv.includes('--emulation')) return
  const build = ['--build', path.join(here, 'build'), '--config', 'Release', '--parallel', '2']
  const run = spawnSync('cmake', [...build, '--target', 'imago_cuda_emulated'], options)
  if (run.status === 0) return
  process.exitCode = 1
  console.error(`${run.stdout ?? ''}${run.stderr ?? ''}\nnative: the emulated CUDA library could not be built`)
}
