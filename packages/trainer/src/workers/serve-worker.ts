import { StateError } from '@imago/tensor'
import type { JsonObject } from '../json.js'
import type { Report } from '../report.js'
import type { FromWorker, ToWorker } from './messages.js'

/** What a worker process does with its task: reports on the way, and a result. */
export type Work = (task: JsonObject, signal: AbortSignal) => AsyncGenerator<Report, JsonObject>

/** The process as `serveWorker` sees it: `process` of a child that was forked with a channel. */
export interface WorkerProcess {
  send?: ((message: FromWorker, sent: (error: Error | null) => void) => boolean) | undefined
  on(event: 'message', listener: (message: ToWorker) => void): unknown
  on(event: 'disconnect' | 'SIGINT', listener: () => void): unknown
  disconnect?: (() => void) | undefined
  readonly connected?: boolean
}

/**
 * The other end of `runWorkers`: does the one task that the process was started for. It stops, as `signal` tells the work, when the process
 * that started it asks for it or is no more. Steps are reported as fast as the channel takes them, everything else without exception.
 *
 * @throws StateError where the process was not started by `runWorkers`
 */
export async function serveWorker(work: Work, process: WorkerProcess): Promise<void> {
  const { send } = process
  if (!send)
    throw new StateError(
      'serveWorker: this process has no channel to the one that started it',
      'Start it by runWorkers',
    )
  const post = (message: FromWorker): Promise<void> =>
    new Promise((resolve) => send.call(process, message, () => resolve()))
  const stop = new AbortController()
  const gone = new Error('the process that started this worker asked it to stop, or is no more')
  process.on('disconnect', () => stop.abort(gone))
  // Ctrl-C reaches every process of a terminal: who started the workers decides, and tells them.
  process.on('SIGINT', () => undefined)
  const task = new Promise<JsonObject>((resolve) => {
    process.on('message', (message) => {
      if (message.kind === 'begin') resolve(message.task)
      else stop.abort(gone)
    })
    stop.signal.addEventListener('abort', () => resolve({}))
  })
  await post({ kind: 'ready' })
  let last: FromWorker
  try {
    last = { kind: 'done', result: await reported(work(await task, stop.signal), post) }
    stop.signal.throwIfAborted()
  } catch (error) {
    last = stop.signal.aborted ? { kind: 'stopped' } : { kind: 'failed', reason: messageOf(error) }
  }
  await post(last)
  if (process.connected) process.disconnect?.()
}

async function reported(
  reports: AsyncGenerator<Report, JsonObject>,
  post: (message: FromWorker) => Promise<void>,
): Promise<JsonObject> {
  let free = true
  for (;;) {
    const { value, done } = await reports.next()
    if (done) return value
    if (value.kind !== 'step') await post({ kind: 'report', report: value })
    else if (free) {
      free = false
      void post({ kind: 'report', report: value }).then(() => {
        free = true
      })
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
