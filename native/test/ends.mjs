// Workers compute until they are terminated; the main thread never loads the addon: node ends.mjs <addon>
import { Worker } from 'node:worker_threads'

const script = `
  const { parentPort } = require('node:worker_threads')
  const addon = require(${JSON.stringify(process.argv[2])})
  const n = 100000, x = new Float32Array(n).fill(2), result = new Float64Array(1)
  parentPort.postMessage('ready')
  for (;;) {
    addon.call('squared_norm', [x, result], [n])
    try { addon.call('squared_norm', [null, result], [n]) } catch {}
  }`

for (let round = 0; round < 4; round++)
  await Promise.all(
    Array.from({ length: 16 }, async (_, i) => {
      const worker = new Worker(script, { eval: true })
      await new Promise((resolve) => worker.once('message', resolve))
      await new Promise((resolve) => setTimeout(resolve, i))
      await worker.terminate()
    }),
  )
console.log('ended')
