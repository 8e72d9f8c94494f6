import { Interrupted } from './exit-code.js'
import { printable } from './terminal/printable.js'
import { type Progress, progress } from './terminal/progress.js'

/** The world as a command sees it: its streams, its environment, its clock and the wish to stop. */
export interface Context {
  readonly env: { readonly [name: string]: string | undefined }
  /** Results: tables, JSON. */
  readonly out: (text: string) => void
  /** Everything else: progress, notes, errors. */
  readonly note: (text: string) => void
  readonly progress: Progress
  readonly signal: AbortSignal
  /** Milliseconds since some fixed moment. */
  readonly now: () => number
}

/** The context of this process. The first SIGINT or SIGTERM asks to stop (a checkpoint is written), the second ends at once. */
export function processContext(quiet = false): { context: Context; release: () => void } {
  const stop = new AbortController()
  const handlers = (['SIGINT', 'SIGTERM'] as const).map((name) => {
    const handler = (): void => {
      if (stop.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143)
      process.stderr.write(`\n${name}: writing a checkpoint and stopping (again to stop at once)\n`)
      stop.abort(new Interrupted(name))
    }
    process.on(name, handler)
    return () => process.off(name, handler)
  })
  // A reader that went away (`imago … | head`) is no error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  // Nobody reads the progress any more; the work goes on.
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  const write = (text: string): void => {
    if (!quiet) process.stderr.write(text)
  }
  const live = process.stderr.isTTY === true && process.env.CI === undefined && process.env.TERM !== 'dumb'
  const shown = progress({ write, live, now: () => performance.now(), columns: process.stderr.columns ?? 80 })
  return {
    context: {
      env: process.env,
      out: (text) => process.stdout.write(`${printable(text)}\n`),
      note: (text) => shown.log(printable(text)),
      progress: shown,
      signal: stop.signal,
      now: () => performance.now(),
    },
    release() {
      shown.end()
      for (const off of handlers) off()
    },
  }
}
