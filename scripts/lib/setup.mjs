import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run, runNode } from './run.mjs'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const stamps = join(root, 'node_modules', '.imago')

/**
 * Install and build what is missing; a second call finds its stamps and does nothing.
 * Only Node's own modules may be used here: nothing is installed yet.
 */
export function setup() {
  refuseOldNode()
  const install = digest(['package-lock.json'], `${process.platform} ${process.arch}`)
  if (stampOf('install') !== install) {
    console.log('imago: installing npm packages …')
    must(npm(['ci', '--no-audit', '--no-fund']), 'npm ci')
    stamp('install', install)
    rmSync(join(stamps, 'build'), { force: true })
  }
  const build = digest(sources(), `${process.env.IMAGO_NATIVE ?? ''} ${process.env.IMAGO_CUDA ?? ''} ${compilers()}`)
  if (stampOf('build') !== build || !existsSync(join(root, 'packages', 'cli', 'dist', 'index.js'))) {
    console.log('imago: building …')
    must(turbo(['run', 'build', '--output-logs=new-only']), 'turbo run build')
    stamp('build', build)
  }
}

/**
 * The CUDA kernels over an emulated device, for tests: built when the native sources have changed. Where it cannot be built the tests
 * that need it skip, and say so.
 */
export function setupEmulation() {
  const paths = [...nativeSources(), ...files(join('native', 'test', 'cuda', 'emulation'))]
  const emulation = digest(paths, `${process.env.IMAGO_NATIVE ?? ''} ${process.env.IMAGO_CUDA ?? ''} ${compilers()}`)
  if (stampOf('emulation') === emulation) return
  if (runNode(join(root, 'native', 'build.mjs'), ['--emulation'], { cwd: root }) === 0) stamp('emulation', emulation)
}

function turbo(args) {
  const bin = join(root, 'node_modules', 'turbo', 'bin', 'turbo')
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1' }
  return runNode(bin, args, { cwd: root, env })
}

function npm(args) {
  const cli = process.env.npm_execpath
  if (cli?.endsWith('.js')) return runNode(cli, args, { cwd: root })
  return run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, { cwd: root, shell: process.platform === 'win32' })
}

function must(status, what) {
  if (status === 0) return
  console.error(`imago: ${what} failed; its own message above says why.`)
  process.exit(status)
}

function refuseOldNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if ((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22) return
  console.error(`imago needs Node 20.19 or later, or 22.12 or later; this is ${process.version}.`)
  process.exit(1)
}

function stampOf(name) {
  const file = join(stamps, name)
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

function stamp(name, value) {
  mkdirSync(stamps, { recursive: true })
  writeFileSync(join(stamps, name), value)
}

/** Which of the programs that the addon is built with are there: it is built once they come. */
function compilers() {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return ['cmake', 'c++', 'g++', 'clang++', 'nvcc'].filter((name) =>
    folders.some((folder) => existsSync(join(folder, name))),
  )
}

/** Everything that the build reads. */
function sources() {
  const rooms = readdirSync(join(root, 'packages')).flatMap((name) => [
    ...files(join('packages', name, 'src')),
    join('packages', name, 'package.json'),
    join('packages', name, 'tsconfig.json'),
  ])
  return [...rooms, ...nativeSources(), 'tsconfig.base.json', 'turbo.json']
}

function nativeSources() {
  const native = ['src', 'include'].flatMap((folder) => files(join('native', folder)))
  return [...native, 'native/CMakeLists.txt', 'native/build.mjs']
}

function files(folder) {
  const entries = existsSync(join(root, folder)) ? readdirSync(join(root, folder), { withFileTypes: true }) : []
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? files(path) : [path]
  })
}

function digest(paths, extra) {
  const hash = createHash('sha256').update(extra)
  for (const path of paths.sort()) {
    const file = join(root, path)
    hash.update(`\0${path}\0`).update(existsSync(file) ? readFileSync(file) : '')
  }
  return hash.digest('hex')
}
