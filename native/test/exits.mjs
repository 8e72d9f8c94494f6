// Eight workers compute without end, on the pool and with libraries of their own lists; then the process ends as asked:
// node exits.mjs <addon> exit | throw | worker-exit | kill
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'

const [addon, how] = process.argv.slice(2)
const script = `
  const { parentPort, threadId } = require('node:worker_threads')
  const addon = require(${JSON.stringify(addon)})
  const n = 1000000, x = new Float32Array(n).fill(2), result = new Float64Array(1)
  addon.call('squared_norm', [x, result], [n])
  parentPort.postMessage('ready')
  for (let i = 0; ; i++) {
    addon.call('squared_norm', [x, result], [n])
    if (${JSON.stringify(how)} === 'worker-exit' && i === 20 + threadId) process.exit(7)
  }`

const here = createRequire(import.meta.url)(addon)
const workers = Array.from({ length: 8 }, () => new Worker(script, { eval: true }))
const codes = workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve)))
await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
here.call('squared_norm', [new Float32Array(1000000), new Float64Array(1)], [1000000])
if (how === 'exit') process.exit(7)
if (how === 'throw') throw new RangeError('nobody catches this')
if (how === 'kill') process.kill(process.pid, 'SIGTERM')
if (how === 'worker-exit') console.log(JSON.stringify(await Promise.all(codes)))
