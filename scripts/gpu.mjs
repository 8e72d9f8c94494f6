// `npm run gpu`: builds, checks and times the CUDA kernels on the first GPU, in one call of a few minutes, and writes
// bench/results/gpu-<date>.json and .md. Without a GPU it builds, runs the parity of the kernels over the emulated device, says why
// the rest is skipped, and ends with exit code 0.
//
//   --no-build    use what is built (packages/*/dist and native/build/Release): nothing is installed, nothing but Node is needed
//   --no-peers    do not time PyTorch and Liger-Kernel
//   IMAGO_PYTHON  the python that has PyTorch (default: python3)
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { report } from './gpu/report.mjs'
import { lossShapes } from './gpu/shapes.mjs'
import { allResources, architectures, findNvcc, findTool } from './lib/cuda.mjs'
import { root, setup, setupEmulation } from './lib/setup.mjs'

const { values: options } = parseArgs({ options: { 'no-build': { type: 'boolean' }, 'no-peers': { type: 'boolean' } } })
const started = Date.now()
const release = join(root, 'native', 'build', 'Release')
const emulation = join(release, 'imago_cuda_emulated.so')
const say = (text) => console.log(`gpu [${((Date.now() - started) / 1000).toFixed(0)} s] ${text}`)

const smi = capture('nvidia-smi', ['--query-gpu=name,driver_version,compute_cap,memory.total', '--format=csv,noheader'])
const card = smi === null ? null : smi.trim().split('\n')[0]
say(card === null ? 'nvidia-smi finds no GPU' : `the card: ${card}`)
const capability = card?.split(', ')[2]?.replace('.', '')

if (!options['no-build']) {
  if (findNvcc() !== null) process.env.IMAGO_CUDA ??= '1'
  if (capability) process.env.IMAGO_CUDA_ARCHS ??= `75-virtual;${capability}`
  say('building')
  setup()
  if (card === null) setupEmulation()
}

const record = {
  date: new Date().toISOString(),
  commit: capture('git', ['-C', root, 'rev-parse', '--short', 'HEAD'])?.trim() ?? null,
  card,
  node: process.version,
  cpu: cpus()[0]?.model,
  nvcc: findNvcc() === null ? null : capture(findNvcc(), ['--version'])?.match(/V[\d.]+/)?.[0],
}
let failed = 0

/** Runs a step; what goes wrong in one must not cost the others. */
async function step(name, body) {
  say(name)
  try {
    record[name] = await body()
  } catch (error) {
    record[name] = { error: error.message }
  }
  const { error, skipped, failures } = record[name]
  if (error || failures?.length > 0) failed++
  say(`${name}: ${error ?? skipped ?? summary(name, record[name])}`)
  for (const failure of failures ?? []) console.log(`  ${failure}`)
}

await step('parity', () => {
  const found = script('parity', [])
  if (found.reason === undefined) return found
  if (!existsSync(emulation)) return { skipped: `${found.reason}; and ${emulation} is not built` }
  say(`no GPU (${found.reason}); the emulated device stands in`)
  return { ...script('parity', [], { IMAGO_CUDA_PATH: emulation }), reason: found.reason }
})
const isReal = record.parity.emulated === false
const why = record.parity.reason ?? 'no GPU'

await step('spills', async () => {
  const nvcc = findNvcc()
  if (nvcc === null) return { skipped: 'there is no nvcc' }
  const wanted = capability ? [capability] : ['75', '80', '90', '100', '120']
  const archs = architectures(nvcc).filter((arch) => wanted.includes(arch))
  const rows = await allResources(nvcc, archs)
  const failures = rows
    .filter(({ spills }) => spills > 0)
    .map((row) => `${row.kernel} on sm_${row.arch} spills ${row.spills} bytes`)
  return { archs, kernels: rows.length, rows, failures }
})

await step('sanitizer', () => {
  if (!isReal) return { skipped: why }
  const tool = findTool('compute-sanitizer')
  if (tool === null) return { skipped: 'there is no compute-sanitizer' }
  const failures = []
  const ran = {}
  for (const check of ['memcheck', 'racecheck', 'synccheck', 'initcheck']) {
    // racecheck is the slowest by far: it gets the kernels with the most shared memory.
    const kernels = check === 'racecheck' ? ['soft_target_loss', 'softmax', 'squared_norm'] : []
    const args = [
      '--tool',
      check,
      '--error-exitcode',
      '86',
      process.execPath,
      join(root, 'scripts/gpu/parity.mjs'),
      ...kernels,
    ]
    const run = spawnSync(tool, args, { encoding: 'utf8', timeout: 240_000, maxBuffer: 1 << 28, cwd: root })
    const tail = `${run.stdout ?? ''}${run.stderr ?? ''}`
    ran[check] =
      /ERROR SUMMARY: .*|RACECHECK SUMMARY: .*/.exec(tail)?.[0] ??
      (run.error?.code === 'ETIMEDOUT' ? 'timed out' : `exit code ${run.status}`)
    if (run.status === 86)
      failures.push(`${check}: ${ran[check]}: ${/=========\s+(?!COMPUTE)(.+)/.exec(tail)?.[1] ?? ''}`)
  }
  return { ran, failures }
})

await step('bench', () => {
  if (isReal) return script('bench', [])
  if (!existsSync(emulation)) return { skipped: why }
  // The calls are the same; their times mean nothing.
  const tried = script('bench', [], { IMAGO_CUDA_PATH: emulation })
  return {
    skipped: `${why}; its ${tried.results.length} rows were called over the emulated device`,
    rows: tried.results.length,
  }
})

await step('peers', () => {
  if (options['no-peers']) return { skipped: '--no-peers' }
  if (!isReal) return { skipped: why }
  const python = process.env.IMAGO_PYTHON || 'python3'
  const args = [join(root, 'bench/peer/torch_cuda.py'), JSON.stringify(lossShapes)]
  const { status, stdout, stderr, error } = spawnSync(python, args, {
    encoding: 'utf8',
    timeout: 420_000,
    maxBuffer: 1 << 26,
  })
  if (status !== 0) return { skipped: `${python}: ${error?.message ?? stderr.trim().split('\n').at(-1)}` }
  const found = JSON.parse(stdout.trim().split('\n').at(-1))
  return found.reason === undefined ? found : { skipped: found.reason }
})

record.seconds = (Date.now() - started) / 1000
const text = report(record)
console.log(`\n${text}`)
if (isReal) {
  const folder = join(root, 'bench', 'results')
  mkdirSync(folder, { recursive: true })
  const name = join(folder, `gpu-${record.date.slice(0, 10)}`)
  writeFileSync(`${name}.json`, `${JSON.stringify(record, null, 1)}\n`)
  writeFileSync(`${name}.md`, text)
  say(`written: ${name}.json and .md`)
}
say(failed === 0 ? 'done' : `${failed} of the steps failed`)
process.exitCode = failed === 0 ? 0 : 1

/** Standard output of a program, or null where it cannot be run. */
function capture(program, args) {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8' })
  return status === 0 ? stdout : null
}

/** The JSON line that scripts/gpu/<name>.mjs ends with. */
function script(name, args, env = {}) {
  const file = join(root, 'scripts', 'gpu', `${name}.mjs`)
  const options = { encoding: 'utf8', env: { ...process.env, ...env }, maxBuffer: 1 << 28, cwd: root, timeout: 540_000 }
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [file, ...args], options)
  if (status !== 0)
    throw new Error(
      `${name}: ${error?.message ?? (stderr.trim().split('\n').slice(-12).join('\n') || `exit code ${status}`)}`,
    )
  return JSON.parse(stdout.trim().split('\n').at(-1))
}

function summary(name, found) {
  if (name === 'parity')
    return `${found.cases} cases of ${found.kernels.length} kernels on ${found.device}, ${found.failures.length} fail`
  if (name === 'spills')
    return `${found.kernels} kernels for ${found.archs.map((arch) => `sm_${arch}`).join(', ')}, ${found.failures.length} spill`
  if (name === 'sanitizer')
    return Object.entries(found.ran)
      .map(([tool, line]) => `${tool}: ${line}`)
      .join('; ')
  if (name === 'bench') return `${found.results.length} rows, the card copies ${found.copy.toFixed(0)} GB/s`
  return `${found.results.length} rows, PyTorch ${found.torch}${found.liger ? ', Liger-Kernel' : `, ${found.whyNotLiger}`}`
}
