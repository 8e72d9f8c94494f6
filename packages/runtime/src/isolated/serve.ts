import { Worker } from 'node:worker_threads'
import { openLoadable, type Session } from '../session.js'
import type { Reply, Request, SentError } from './protocol.js'

/** The child's side: opens the model that the parent names and runs what it is told to, one request after another. */
export function serve(): void {
  let session: Session | undefined
  // Ctrl-C reaches every process of a terminal; the parent says when this one ends.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
  process.on('disconnect', () => process.exit(0))
  const answer = async (request: Request): Promise<Reply> => {
    if (request.kind === 'run') return { kind: 'ran', results: await session!.run(request.feeds, request.outputs) }
    const { where, loadable, options, memoryLimit } = request
    const watchdog = new Worker(new URL('./watchdog.js', import.meta.url), {
      workerData: { memoryLimit, parent: process.ppid },
    })
    await new Promise((resolve) => watchdog.once('online', resolve))
    session = await openLoadable(where, loadable, options)
    const { inputs, outputs, provider, notes } = session
    return { kind: 'opened', inputs, outputs, provider, notes }
  }
  process.on('message', (request: Request) => {
    answer(request)
      .catch((error: unknown): Reply => ({ kind: 'failed', error: sent(error) }))
      .then((reply) => process.send?.(reply))
  })
}

function sent(error: unknown): SentError {
  const { name, code, message } = error as { name: string; code?: string; message: string }
  return { name, code, message }
}
