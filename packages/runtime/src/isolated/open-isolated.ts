import { type ChildProcess, fork } from 'node:child_process'
import { totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import {
  ArgumentError,
  FormatError,
  ImagoError,
  NotFoundError,
  NumericError,
  ShapeError,
  UnsupportedError,
} from '@imago/tensor'
import type { EngineOptions } from '../engine.js'
import { RuntimeError } from '../errors.js'
import { type Session, sessionOver } from '../session.js'
import { IsolationError } from './isolation-error.js'
import { memoryReached, type Reply, type Request, type SentError } from './protocol.js'

export interface IsolateOptions {
  /** Milliseconds that opening the model, or one run of it, may take. Default ten minutes. */
  readonly timeLimit?: number | undefined
  /** Bytes of memory that its process may hold. Default four fifths of what the machine (or its container) has. */
  readonly memoryLimit?: number | undefined
}

const program = fileURLToPath(new URL('../../bin/isolated.js', import.meta.url))
/** How much of what the process says on standard error is kept. */
const kept = 2000

/**
 * A session in a process of its own: a model that crashes ONNX Runtime, fills the memory or never comes back ends that process, and
 * the run in progress is an `IsolationError`. Tensors are copied to it and back. The process ends with `dispose`, with this process, however that ends, and
 * at once where a limit is reached.
 *
 * @throws IsolationError; what `open` throws
 */
export async function openIsolated(
  where: string,
  loadable: Uint8Array | string,
  options: EngineOptions,
  limits: IsolateOptions = {},
): Promise<Session> {
  const { timeLimit = 600_000, memoryLimit = defaultMemory() } = limits
  for (const [name, value] of Object.entries({ timeLimit, memoryLimit }))
    if (!(value > 0)) throw new ArgumentError('open', `isolate.${name}`, 'a number > 0', value)
  const child = startChild(where, timeLimit)
  try {
    const opened = await child.ask({ kind: 'open', where, loadable, options, memoryLimit })
    if (opened.kind !== 'opened') throw new RuntimeError(`${where} does not load`, `it answered ${opened.kind}`)
    const { inputs, outputs, provider, notes } = opened
    return sessionOver(
      { where, inputs, outputs, provider, notes },
      async (feeds, names) => {
        const ran = await child.ask({ kind: 'run', feeds, outputs: names })
        if (ran.kind !== 'ran') throw new RuntimeError(`${where} does not run`, `it answered ${ran.kind}`)
        return ran.results
      },
      () => child.end(),
    )
  } catch (error) {
    await child.end()
    throw error
  }
}

function defaultMemory(): number {
  const constrained = process.constrainedMemory?.() ?? 0
  return 0.8 * (constrained > 0 ? Math.min(constrained, totalmem()) : totalmem())
}

interface Child {
  /** One request at a time. */
  ask(request: Request): Promise<Reply>
  end(): Promise<void>
}

function startChild(where: string, timeLimit: number): Child {
  const child = fork(program, [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    execArgv: [],
    // A group of its own: Ctrl-C in a terminal is the parent's to answer, who may want the batch that is running.
    detached: process.platform !== 'win32',
  })
  let said = ''
  let ended: IsolationError | undefined
  let settle: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined
  child.stderr?.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-kept)
  })
  child.on('message', (reply: Reply) => settle?.resolve(reply))
  child.on('error', (cause) => settle?.reject(new RuntimeError(`${where}: its process does not start`, cause)))
  // 'close' comes after the last of its standard error.
  child.on('close', (code, signal) => {
    ended ??= new IsolationError(where, said.includes(memoryReached) ? 'memory' : 'crash', obituary(said, code, signal))
    settle?.reject(ended)
  })
  holdOpen(child, false)
  return {
    async ask(request) {
      if (ended) throw ended
      let timer: NodeJS.Timeout | undefined
      holdOpen(child, true)
      try {
        const reply = await new Promise<Reply>((resolve, reject) => {
          settle = { resolve, reject }
          timer = setTimeout(
            () => {
              ended = new IsolationError(where, 'time', `took longer than ${timeLimit / 1000} s and was ended`)
              child.kill('SIGKILL')
            },
            Math.min(timeLimit, 2 ** 31 - 1),
          )
          child.send(request, (error) => {
            // A process that is gone says more when it closes.
            if (error && child.exitCode === null && child.signalCode === null && child.connected) reject(error)
          })
        })
        if (reply.kind === 'failed') throw revived(reply.error)
        return reply
      } finally {
        clearTimeout(timer)
        settle = undefined
        holdOpen(child, false)
      }
    },
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return
      // Not 'close', which may stay away after a disconnect.
      const gone = new Promise((resolve) => child.once('exit', resolve))
      holdOpen(child, true)
      if (child.connected) child.disconnect()
      // Between requests it leaves by itself; one that is computing is not waited for.
      const timer = setTimeout(() => child.kill('SIGKILL'), 1000)
      await gone
      clearTimeout(timer)
    },
  }
}

/** An idle child is no reason for this process to stay; one that is asked something is. */
function holdOpen(child: ChildProcess, held: boolean): void {
  const word = held ? 'ref' : 'unref'
  child[word]()
  child.channel?.[word]()
  const pipe = child.stderr as unknown as { ref(): void; unref(): void } | null
  pipe?.[word]()
}

function obituary(said: string, code: number | null, signal: NodeJS.Signals | null): string {
  if (said.includes(memoryReached)) return 'held more memory than it may and was ended'
  const last = said.trim().split('\n').at(-1)?.trim().slice(0, 200)
  const how = signal ? `by ${signal}` : `with exit code ${code}`
  return `its process ended ${how}${last ? ` (${last})` : ''}; what it was computing is lost, nothing else`
}

const classes = {
  ArgumentError,
  FormatError,
  NotFoundError,
  NumericError,
  RuntimeError,
  ShapeError,
  UnsupportedError,
}

/** The error as the child threw it. */
function revived({ name, code, message }: SentError): Error {
  const error = new ImagoError(code ?? 'ERR_RUNTIME', message)
  const known = classes[name as keyof typeof classes]
  if (known) Object.setPrototypeOf(error, known.prototype as object)
  error.name = name
  return error
}
