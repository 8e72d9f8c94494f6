// A million calls, accepted and refused, with views that are made anew: node --expose-gc many-calls.mjs <addon> <calls>
// Prints what memory there was after a tenth of them and at the end.
import { createRequire } from 'node:module'

const addon = createRequire(import.meta.url)(process.argv[2])
const calls = Number(process.argv[3])
const memory = new ArrayBuffer(64)
const result = new Float64Array(1)

function one(i) {
  const x = i % 3 === 0 ? Float32Array.of(3, 4) : new Float32Array(memory, 8 * (i % 4), 2)
  if (i % 16 !== 0) return addon.call('squared_norm', [x, result], [2])
  try {
    addon.call(
      i % 32 === 0 ? 'squared_norm' : 'softmax',
      i % 64 === 0 ? [x, result] : [x, x],
      i % 64 === 0 ? [3] : [1, 2, 0, 0],
    )
  } catch {
    return
  }
  throw new Error('accepted what is wrong')
}

function measure() {
  for (let i = 0; i < 4; i++) global.gc()
  const { rss, external, arrayBuffers, heapUsed } = process.memoryUsage()
  return { rss, external, arrayBuffers, heapUsed }
}

let start
for (let i = 1; i <= calls; i++) {
  one(i)
  if (i === calls / 10) start = measure()
}
console.log(JSON.stringify({ start, end: measure() }))
