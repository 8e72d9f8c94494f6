import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root } from './setup.mjs'

const folder = join(root, 'native', 'src', 'cuda')

/** nvcc where there is one: CUDACXX, the PATH, the usual place. */
export function findNvcc() {
  const { CUDACXX, PATH = '', CUDA_HOME = '/usr/local/cuda' } = process.env
  const places = [CUDACXX, ...PATH.split(delimiter).map((at) => join(at, 'nvcc')), join(CUDA_HOME, 'bin', 'nvcc')]
  return places.find((path) => path && existsSync(path)) ?? null
}

/** A program beside nvcc or on the PATH, or null. */
export function findTool(name) {
  const beside = [findNvcc(), '/usr/local/cuda/bin/nvcc'].filter(Boolean).map((nvcc) => join(nvcc, '..', name))
  const places = [...(process.env.PATH ?? '').split(delimiter).map((at) => join(at, name)), ...beside]
  return places.find((path) => existsSync(path)) ?? null
}

export function cudaSources() {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.cu'))
    .map((name) => join(folder, name))
}

/** The architectures that this nvcc makes code for, such as ['75', '80', …]. */
export function architectures(nvcc) {
  const { stdout } = spawnSync(nvcc, ['--list-gpu-code'], { encoding: 'utf8' })
  return [...(stdout ?? '').matchAll(/sm_(\d+)\b/g)].map(([, number]) => number)
}

/**
 * What ptxas says of every kernel of a file on the architectures: { kernel, arch, registers, stack, spills } a row. Throws with the
 * compiler's words where it does not compile.
 */
export async function resources(nvcc, file, archs) {
  const include = ['include', 'src'].map((name) => `-I${join(root, 'native', name)}`)
  const code = archs.flatMap((arch) => ['-gencode', `arch=compute_${arch},code=sm_${arch}`])
  const args = ['-std=c++20', '-O3', '-Xptxas', '-v', ...include, ...code, '-c', file, '-o', '/dev/null']
  const { status, output } = await run(nvcc, args)
  if (status !== 0) throw new Error(`${file}: nvcc failed\n${output}`)
  const rows = []
  for (const line of output.split('\n')) {
    const entry = /Compiling entry function '([^']+)' for 'sm_(\d+)'/.exec(line)
    const spills = /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line)
    const used = /Used (\d+) registers/.exec(line)
    const row = rows.at(-1)
    if (entry) rows.push({ kernel: entry[1], arch: entry[2], registers: 0, stack: 0, spills: 0 })
    else if (spills && row)
      Object.assign(row, { stack: Number(spills[1]), spills: Number(spills[2]) + Number(spills[3]) })
    else if (used && row) row.registers = Number(used[1])
  }
  return rows
}

/** Names as they were written, where c++filt is there. */
export function demangle(names) {
  const { stdout, status } = spawnSync('c++filt', { input: names.join('\n'), encoding: 'utf8' })
  if (status !== 0) return names
  const short = (name) =>
    name
      .replaceAll('imago::cuda::', '')
      .replaceAll('(anonymous namespace)::', '')
      .replace(/^void /, '')
      .replace(/\((?!anonymous).*$/, '')
  return stdout.split('\n').map(short)
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (text) => (output += text))
    child.stderr.on('data', (text) => (output += text))
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, output }))
  })
}

/** The resources of all kernels, as one table: a row a kernel, its registers by architecture. */
export async function allResources(nvcc, archs, files = cudaSources()) {
  const rows = []
  const waiting = [...files]
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift())
      rows.push(...(await resources(nvcc, file, archs)))
  }
  await Promise.all([worker(), worker()])
  const names = demangle(rows.map(({ kernel }) => kernel))
  return rows.map((row, i) => ({ ...row, kernel: names[i] }))
}
