import { type ChildProcess, fork } from 'node:child_process'
import { ArgumentError } from '@imago/tensor'
import type { JsonObject } from '../json.js'
import type { Report } from '../report.js'
import type { FromWorker, ToWorker } from './messages.js'

/** Something to be done by a process of its own. */
export interface WorkerTask {
  readonly name: string
  /** What the process needs to know. */
  readonly task: JsonObject
}

export interface RunWorkersOptions {
  /** The script that every process runs: it calls `serveWorker`. */
  readonly script: string | URL
  readonly tasks: readonly WorkerTask[]
  /** Processes at a time, at least one. */
  readonly workers: number
  /** Arguments of Node itself; default: those of this process. */
  readonly execArgv?: readonly string[]
  /** Abort: every process is asked to stop, and when all have ended `signal.reason` is thrown. */
  readonly signal?: AbortSignal
  /** Milliseconds that a process may take to stop, to write its checkpoint, before it is killed; default 60,000. */
  readonly grace?: number
}

interface Count {
  readonly task: string
  readonly done: number
  readonly failed: number
  readonly of: number
}

/** What `runWorkers` says while its processes work. */
export type WorkerEvent =
  | ({ readonly kind: 'begins' } & Count)
  | { readonly kind: 'report'; readonly task: string; readonly report: Report }
  | ({ readonly kind: 'done'; readonly result: JsonObject } & Count)
  /** The others go on. */
  | ({ readonly kind: 'failed'; readonly reason: string } & Count)

/** What came of the tasks, by name. */
export interface WorkersResult {
  readonly results: ReadonlyMap<string, JsonObject>
  /** Why, of those that came to nothing. */
  readonly failures: ReadonlyMap<string, string>
}

/**
 * Do tasks in worker processes of this machine, each in one of its own: what one does to its memory, its threads or itself costs no other. An
 * async generator of all their events in one stream, in the order in which they come. A task that fails, or whose process dies, is an event
 * and an entry of `failures`; it is the caller's to run it again. Whoever stops reading stops the processes.
 *
 * @throws ArgumentError (no worker, names that come twice); the signal's reason
 */
export async function* runWorkers(options: RunWorkersOptions): AsyncGenerator<WorkerEvent, WorkersResult> {
  const { tasks, workers, signal, grace = 60_000 } = options
  check(tasks, workers)
  const results = new Map<string, JsonObject>()
  const failures = new Map<string, string>()
  const running = new Map<string, ChildProcess>()
  const waiting = [...tasks]
  const inbox = mailbox<Said>()
  const wake = (): void => inbox.put({ kind: 'aborted' })
  signal?.addEventListener('abort', wake)
  const count = (task: string): Count => ({ task, done: results.size, failed: failures.size, of: tasks.length })
  try {
    while (results.size + failures.size < tasks.length) {
      signal?.throwIfAborted()
      while (running.size < workers && waiting.length > 0) {
        const next = waiting.shift()!
        running.set(next.name, begin(next, options, inbox.put))
        yield { kind: 'begins', ...count(next.name) }
      }
      const said = await inbox.take()
      if (said.kind === 'report') yield said
      if (said.kind !== 'end') continue
      running.delete(said.task)
      if (said.result) results.set(said.task, said.result)
      else failures.set(said.task, said.reason)
      yield said.result
        ? { kind: 'done', result: said.result, ...count(said.task) }
        : { kind: 'failed', reason: said.reason, ...count(said.task) }
    }
    return { results, failures }
  } finally {
    signal?.removeEventListener('abort', wake)
    await Promise.all([...running.values()].map((child) => stopped(child, grace)))
  }
}

type Said =
  | { readonly kind: 'aborted' }
  | { readonly kind: 'report'; readonly task: string; readonly report: Report }
  | { readonly kind: 'end'; readonly task: string; readonly result?: JsonObject; readonly reason: string }

/** Start the process of a task; what it says, and that it has ended, is put into the mailbox. */
function begin({ name, task }: WorkerTask, options: RunWorkersOptions, put: (said: Said) => void): ChildProcess {
  const { script, execArgv } = options
  const child = fork(script, [], {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    ...(execArgv && { execArgv: [...execArgv] }),
  })
  let result: JsonObject | undefined
  let reason: string | undefined
  let words = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    // The end of it: that is where a crash says why.
    words = (words + chunk.toString()).slice(-2000)
  })
  child.on('message', (message: FromWorker) => {
    if (message.kind === 'ready') tell(child, { kind: 'begin', task })
    else if (message.kind === 'report') put({ kind: 'report', task: name, report: message.report })
    else if (message.kind === 'done') result = message.result
    else if (message.kind === 'failed') reason = message.reason
  })
  let ended = false
  const end = (why: string): void => {
    if (ended) return
    ended = true
    put({ kind: 'end', task: name, ...(result && { result }), reason: reason ?? why })
  }
  child.on('error', (error) => end(`its process could not be started (${error.message})`))
  child.on('close', (code, killedBy) => {
    const how = killedBy ? `its process was ended by ${killedBy}` : `its process ended with ${code}`
    const last = words.trim().split('\n').slice(-3).join(' ')
    end(last === '' ? how : `${how}: ${last}`)
  })
  return child
}

/** Ask a process to stop, and kill it where it does not. */
async function stopped(child: ChildProcess, grace: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  tell(child, { kind: 'stop' })
  const timer = setTimeout(() => child.kill('SIGKILL'), grace)
  await gone
  clearTimeout(timer)
}

/** A process that is just ending has no channel any more; that it has ended is said elsewhere. */
function tell(child: ChildProcess, message: ToWorker): void {
  if (child.connected) child.send(message, () => undefined)
}

/** What several put, one takes, in order. */
function mailbox<T>(): { put(item: T): void; take(): Promise<T> } {
  const items: T[] = []
  let wake: (() => void) | undefined
  return {
    put(item) {
      items.push(item)
      wake?.()
    },
    async take() {
      while (items.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      return items.shift()!
    },
  }
}

function check(tasks: readonly WorkerTask[], workers: number): void {
  if (!(Number.isSafeInteger(workers) && workers > 0))
    throw new ArgumentError('runWorkers', 'workers', 'a whole number ≥ 1', workers)
  const twice = tasks.find(({ name }, i) => tasks.findIndex((other) => other.name === name) !== i)
  if (twice) throw new ArgumentError('runWorkers', 'tasks', 'with different names', twice.name)
}
