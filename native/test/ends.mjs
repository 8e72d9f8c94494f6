// Workers compute until they are terminated in the middle of a call, or of a refusal; the main thread never loads the addon:
// node --expose-gc ends.mjs <addon> <workers> <rounds>. Prints the resident memory after each round, in MiB.
import { Worker } from 'node:worker_threads'

const [addon, workers, rounds] = process.argv.slice(2)
const script = `
  const { parentPort } = require('node:worker_threads')
  const addon = require(${JSON.stringify(addon)})
  const n = 100000, x = new Float32Array(n).fill(2), result = new Float64Array(1)
  parentPort.postMessage('ready')
  for (;;) {
    addon.call('squared_norm', [x, result], [n])
    try { addon.call('squared_norm', [null, result], [n]) } catch {}
  }`

const memory = []
for (let round = 0; round < Number(rounds); round++) {
  await Promise.all(
    Array.from({ length: Number(workers) }, async (_, i) => {
      const worker = new Worker(script, { eval: true, resourceLimits: { maxYoungGenerationSizeMb: 2 } })
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      await new Promise((resolve) => setTimeout(resolve, (i * (round + 1)) % 17))
      await worker.terminate()
    }),
  )
  global.gc()
  memory.push(Math.round(process.memoryUsage.rss() / 2 ** 20))
}
console.log(JSON.stringify(memory))
