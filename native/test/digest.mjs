// Runs every kernel on every instruction set and prints one hash per pair: node digest.mjs <addon> [<mode>]
// `mode` is an addon that sets MXCSR (mode.c): every call is then made with another rounding and flush to zero.
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { calls } from './calls.mjs'

const require = createRequire(import.meta.url)
const addon = require(process.argv[2])
const mode = process.argv[3] === undefined ? null : require(process.argv[3])

/** Call with the mode of another addon, which must still be set afterwards; JavaScript itself computes as ever. */
function call(kernel, buffers, scalars) {
  const before = mode?.spoil()
  addon.call(kernel, buffers, scalars)
  const after = mode?.restore()
  if (before !== after) throw new Error(`${kernel} left the mode ${after} instead of ${before}`)
}

const digests = {}
for (const isa of addon.info().available) {
  addon.setIsa(isa)
  for (const [kernel, [buffers, scalars]] of Object.entries(calls)) {
    const copies = buffers.map((buffer) => buffer?.slice() ?? null)
    call(kernel, copies, scalars)
    const hash = createHash('sha256')
    for (const copy of copies) if (copy !== null) hash.update(new Uint8Array(copy.buffer))
    digests[`${isa} ${kernel}`] = hash.digest('hex').slice(0, 16)
  }
}
console.log(JSON.stringify(digests))
