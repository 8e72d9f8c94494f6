// `npm run check:cuda`: what ptxas says of every CUDA kernel, by architecture. Exit code 1 where one spills registers to memory.
//   --arch 75,90   these architectures only (default: 75, 80, 90, 100, 120, as far as nvcc knows them)
//   a name         this file of native/src/cuda only
import { parseArgs } from 'node:util'
import { allResources, architectures, cudaSources, findNvcc } from './lib/cuda.mjs'

const { values, positionals } = parseArgs({ options: { arch: { type: 'string' } }, allowPositionals: true })
const nvcc = findNvcc()
if (nvcc === null) {
  console.log('check:cuda: skipped, there is no nvcc (CUDACXX names one)')
  process.exit(0)
}
const known = architectures(nvcc)
const wanted = (values.arch ?? '75,80,90,100,120').split(',')
const archs = wanted.filter((arch) => known.includes(arch))
const dropped = wanted.filter((arch) => !known.includes(arch))
if (dropped.length > 0)
  console.log(`check:cuda: this nvcc makes no code for ${dropped.map((arch) => `sm_${arch}`).join(', ')}`)
const files = cudaSources().filter(
  (file) => positionals.length === 0 || positionals.some((name) => file.endsWith(`/${name}.cu`)),
)
const rows = await allResources(nvcc, archs, files)

const kernels = [...new Set(rows.map(({ kernel }) => kernel))].sort()
const width = Math.min(100, Math.max(...kernels.map((name) => name.length)))
console.log(`${'registers a thread'.padEnd(width)}  ${archs.map((arch) => `sm_${arch}`.padStart(7)).join('')}`)
for (const kernel of kernels) {
  const cells = archs.map((arch) => {
    const found = rows.filter((row) => row.kernel === kernel && row.arch === arch)
    const most = Math.max(...found.map(({ registers }) => registers))
    const spills = Math.max(...found.map((row) => row.spills))
    return (found.length === 0 ? '-' : spills > 0 ? `${most}!` : `${most}`).padStart(7)
  })
  console.log(`${kernel.slice(0, width).padEnd(width)}  ${cells.join('')}`)
}
const spilled = rows.filter(({ spills }) => spills > 0)
for (const { kernel, arch, spills } of spilled) console.log(`SPILLS ${kernel} on sm_${arch}: ${spills} bytes`)
console.log(`check:cuda: ${rows.length} kernels compiled for ${archs.length} architectures, ${spilled.length} spill`)
process.exitCode = spilled.length === 0 ? 0 : 1
