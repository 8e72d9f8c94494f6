import { parentPort, workerData } from 'node:worker_threads'
import { fuzz } from './fuzz.mjs'

// Which mutant is at work, for whoever finds this worker dead or stuck.
const at = new Int32Array(workerData.at)
parentPort.on('message', ({ from, to }) => {
  const { models, seed } = workerData
  const result = fuzz(models, {
    seed,
    from,
    to,
    now: () => performance.now(),
    progress: (i) => Atomics.store(at, 0, i),
  })
  parentPort.postMessage(result)
})
