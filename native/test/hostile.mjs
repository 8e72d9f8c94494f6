// Every kernel with scalars and kinds of arrays that no face lets through: it computes or refuses, and writes nothing outside its buffers:
// node hostile.mjs <addon>. Prints how many calls there were, and what was written where it must not be.
import { createRequire } from 'node:module'
import { calls } from './calls.mjs'

const addon = createRequire(import.meta.url)(process.argv[2])
const numbers = [
  Number.NaN,
  -1,
  -0,
  0.5,
  1e308,
  Number.POSITIVE_INFINITY,
  -1e300,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  0,
  1,
  2,
  3,
]
const arrays = [Float32Array, Float64Array, Int32Array, Uint32Array, Uint16Array, Uint8Array, BigInt64Array]
const guard = 64
const canary = 0x5a

let made = 0
let accepted = 0
const overruns = []

/** A copy of the buffer between two guards, with as many elements of `Type`. */
function between(buffer, Type = buffer.constructor) {
  const bytes = new Uint8Array(buffer.length * Type.BYTES_PER_ELEMENT + 2 * guard).fill(canary)
  const view = new Type(bytes.buffer, guard, buffer.length)
  if (Type === buffer.constructor) view.set(buffer)
  else view.fill(Type === BigInt64Array ? 0n : 0)
  return view
}

function attack(kernel, buffers, scalars, what) {
  const views = buffers.map(
    (buffer) => buffer && (buffer.buffer.byteLength === buffer.byteLength ? between(buffer) : buffer),
  )
  made++
  try {
    addon.call(kernel, views, scalars)
    accepted++
  } catch (error) {
    if (!(error instanceof Error) || error.message === '') throw error
  }
  for (const view of views) {
    if (view === null) continue
    const bytes = new Uint8Array(view.buffer)
    const ends = [bytes.subarray(0, view.byteOffset), bytes.subarray(view.byteOffset + view.byteLength)]
    if (ends.some((end) => end.some((byte) => byte !== canary))) overruns.push(`${kernel}: ${what}`)
  }
}

for (const isa of addon.info().available) {
  addon.setIsa(isa)
  for (const [kernel, [buffers, scalars]] of Object.entries(calls)) {
    for (let i = 0; i < scalars.length; i++)
      for (const number of numbers)
        attack(
          kernel,
          buffers,
          scalars.with?.(i, number) ?? scalars.map((x, j) => (i === j ? number : x)),
          `scalar ${i} = ${number}`,
        )
    for (let i = 0; i < buffers.length; i++) {
      const others = buffers.slice()
      others[i] = null
      attack(kernel, others, scalars, `buffer ${i} left out`)
      if (buffers[i] === null) continue
      for (const Type of arrays) {
        others[i] = between(buffers[i], Type)
        attack(kernel, others, scalars, `buffer ${i} a ${Type.name}`)
        // A kernel that trusts a scalar about the kind of its array reads twice as far as there is.
        for (let j = 0; j < scalars.length; j++)
          for (const type of [0, 1, 2])
            if (scalars[j] !== type && scalars[j] < 3)
              attack(
                kernel,
                others,
                scalars.map((x, k) => (j === k ? type : x)),
                `buffer ${i} a ${Type.name}, scalar ${j} = ${type}`,
              )
      }
    }
  }
}
console.log(JSON.stringify({ made, accepted, overruns }))
