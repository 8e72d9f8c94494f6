import { createHash } from 'node:crypto'
import { claimRunFolder, type Json, type JsonObject, serveWorker, train } from '../../src/index.js'
import { bits, cloudRun } from '../problem.js'

/** The worker of run-workers.test.ts: what it does is in its task. */
await serveWorker(async function* (task, signal) {
  if (task.kind === 'throws') throw new Error('there is no such thing')
  if (task.kind === 'dies') {
    process.stderr.write('a dying word\n')
    process.kill(process.pid, 'SIGKILL')
  }
  const run = await claimRunFolder(task.folder as string, { test: 'workers' })
  try {
    const options = cloudRun({ epochs: 8, checkpoint: { store: run.checkpoints, everySteps: 2 }, signal })
    for await (const report of train(options)) {
      yield report
      // A task that never ends by itself waits for the word to stop.
      if (task.kind === 'waits' && report.kind === 'step' && report.step === 20)
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      if (task.kind === 'falls' && report.kind === 'checkpoint' && report.step === 30) process.exit(7)
    }
    const hash = createHash('sha256').update(JSON.stringify(bits(options.student.parameters)))
    return { hash: hash.digest('hex') } satisfies { [key: string]: Json } as JsonObject
  } finally {
    await run.release()
  }
}, process)
