import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startSide } from './side.mjs'

const bench = join(import.meta.dirname, '..')
const native = join(bench, '../native')
const node = ['--expose-gc', join(bench, 'harness/node-side.mjs')]
const peer = [join(bench, 'peer/torch_peer.py')]
const calls = join(native, `build/bench/imago_calls${process.platform === 'win32' ? '.exe' : ''}`)

const ourEnvironment = (threads) => ({ IMAGO_NUM_THREADS: String(threads) })
const theirEnvironment = (threads) => ({
  OMP_NUM_THREADS: String(threads),
  MKL_NUM_THREADS: String(threads),
  // Kept, so that a second run need not compile again.
  TORCHINDUCTOR_CACHE_DIR: join(tmpdir(), 'imago-bench-inductor'),
})

/**
 * The processes that take part in a row, by name, in the order of their turns: imago, its other ways and instruction sets,
 * PyTorch's variants, the yardsticks. What cannot take part is in `left`, with its reason. `stop` ends them all.
 */
export async function startContenders(row, { threads, cores, python, quick }) {
  const sides = new Map()
  const left = {}
  const folder = mkdtempSync(join(tmpdir(), 'imago-bench-programs-'))
  const add = (name, command, args, { env, ...marks }) =>
    sides.set(name, Object.assign(startSide(name, command, args, { cores, env }), marks))

  const ours = ourEnvironment(threads)
  add('imago', process.execPath, node, { env: ours })
  const { backends } = await sides.get('imago').request('hello')
  const { isa: chosen, isas = [] } = backends.find(({ name }) => name === 'cpu')
  for (const way of row.ways ?? []) add(`imago ${way}`, process.execPath, node, { env: ours, variant: way })
  for (const isa of row.isas ?? []) {
    if (isa === chosen) left[`imago ${isa}`] = 'it is what imago has'
    else if (!isas.includes(isa)) left[`imago ${isa}`] = 'this machine or build does not have it'
    else add(`imago ${isa}`, process.execPath, node, { env: { ...ours, IMAGO_CPU_ISA: isa } })
  }

  const theirs = theirEnvironment(threads)
  for (const variant of row.variants ?? []) {
    const name = `torch ${variant}`
    if (python.reason) left[name] = python.reason
    else if (quick && row.compiled?.includes(variant)) left[name] = 'of --quick'
    else add(name, python.command, peer, { env: theirs, variant })
  }

  if (row.yardsticks?.includes('C++')) {
    const reason = buildCalls()
    if (reason) left['C++'] = reason
    else add('C++', calls, [], { env: ours })
  }
  if (row.yardsticks?.includes('triad')) {
    const program = join(folder, 'triad')
    const reason = compile(join(bench, 'peer/triad.cc'), program)
    if (reason) left.triad = left['triad NT'] = reason
    else {
      add('triad', program, [], { yardstick: true })
      add('triad NT', program, ['nt'], { yardstick: true })
    }
  }
  const stop = async () => {
    await Promise.all([...sides.values()].map((side) => side.stop()))
    rmSync(folder, { recursive: true, force: true })
  }
  return { sides, left, backends, stop }
}

/** For rows of which each contender has a process of its own a time: the names, who is left out, and how one is started. */
export function memoryContenders(row, { threads, cores, python, quick }) {
  const left = {}
  const names = ['imago']
  for (const variant of row.variants ?? []) {
    const reason = python.reason ?? (quick && row.compiled?.includes(variant) ? 'of --quick' : undefined)
    if (reason) left[`torch ${variant}`] = reason
    else names.push(`torch ${variant}`)
  }
  const start = (name) => {
    if (name === 'imago') return startSide(name, process.execPath, node, { cores, env: ourEnvironment(threads) })
    const [, variant] = name.split(' ')
    return Object.assign(startSide(name, python.command, peer, { cores, env: theirEnvironment(threads) }), { variant })
  }
  return { names, left, start }
}

/** Our kernels in a C++ program, built beside the addon. Why there is none now, or undefined. */
function buildCalls() {
  const { resolve } = createRequire(join(native, 'build.mjs'))
  const cmakeJs = join(dirname(resolve('cmake-js/package.json')), 'bin/cmake-js')
  const args = [cmakeJs, 'compile', '--directory', native, '--target', 'imago_calls', '--parallel', '2']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: native, encoding: 'utf8' })
  if (status === 0 && existsSync(calls)) return undefined
  const lines = `${stdout}${stderr}`.trim().split('\n')
  return `cmake-js fails: ${lines.find((line) => /CMake Error|error:|not found/.test(line)) ?? lines.at(-1)}`
}

/** Why there is no program now, or undefined. */
function compile(source, program) {
  const compiler = process.env.CXX ?? 'c++'
  const { error, status, stderr } = spawnSync(compiler, ['-O3', '-std=c++20', source, '-o', program], {
    encoding: 'utf8',
  })
  if (error) return `${compiler} does not start (${error.code})`
  return status === 0 ? undefined : `${compiler} fails: ${stderr.trim().split('\n')[0]}`
}
