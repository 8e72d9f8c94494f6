import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { memoryReached } from './protocol.js'

/**
 * The thread that ends the process of an isolated model: where its parent is gone, and where it holds more memory than it may. ONNX Runtime
 * blocks the main thread while it computes, so that nobody else could.
 */
const { memoryLimit, parent } = workerData as { memoryLimit: number; parent: number }
/** Milliseconds; memory is filled at some 10 GB a second at most. */
const interval = 10

setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
  if (process.memoryUsage.rss() <= memoryLimit) return
  writeSync(2, `\n${memoryReached}\n`)
  process.kill(process.pid, 'SIGKILL')
}, interval)
