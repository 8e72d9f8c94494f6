// Every CUDA kernel against its reference, on the first device; prints one JSON line. Run by scripts/gpu.mjs, alone or under
// compute-sanitizer. Arguments: names of kernels (default: all that the library has).
import { backends, openDevice } from '@imago/kernels'
import { parityOnDevice } from '@imago/kernels/testing'

const cuda = backends().find(({ name }) => name === 'cuda')
if (!cuda.available) {
  console.log(JSON.stringify({ reason: cuda.reason }))
  process.exit(0)
}
const device = openDevice()
const chosen = process.argv.slice(2)
const kernels = cuda.kernels.filter((kernel) => chosen.length === 0 || chosen.includes(kernel))
const rows = []
for (const kernel of kernels) rows.push(...(await parityOnDevice(kernel, device)))
device.dispose()
const failures = rows
  .filter(({ pass }) => !pass)
  .map((row) => `${row.kernel} | ${row.case} | ${row.output}: ${row.error} > ${row.tolerance}`)
console.log(JSON.stringify({ device: device.name, emulated: device.emulated, kernels, cases: rows.length, failures }))
