/** Shows how long work goes: one line that is rewritten on a terminal, a plain line now and then elsewhere. */
export interface Progress {
  /** `done` of `total` units of the task; `detail` is what changes (loss, rate). */
  update(task: string, done: number, total: number, detail?: string): void
  /** A line that stays. */
  log(line: string): void
  /** Leave the terminal clean. */
  end(): void
}

export interface ProgressOptions {
  readonly write: (text: string) => void
  /** True on a terminal that can rewrite its line. */
  readonly live: boolean
  /** Milliseconds since some fixed moment. */
  readonly now: () => number
  readonly columns?: number
}

const liveInterval = 100
const plainInterval = 5000

/** Progress with rate and remaining time, measured from each task's first update. */
export function progress({ write, live, now, columns = 80 }: ProgressOptions): Progress {
  let task = ''
  let started = 0
  let first = 0
  let shown = Number.NEGATIVE_INFINITY
  let dirty = false

  const clear = (): void => {
    if (dirty) write('\r\u001b[2K')
    dirty = false
  }
  return {
    update(name, done, total, detail = '') {
      const time = now()
      if (name !== task) {
        task = name
        started = time
        first = done
        shown = Number.NEGATIVE_INFINITY
      }
      const last = done >= total
      if (!last && time - shown < (live ? liveInterval : plainInterval)) return
      shown = time
      const text = `${bar(done / total)} ${name} ${done}/${total}${detail && `  ${detail}`}${left(done - first, total - done, time - started)}`
      if (live) {
        write(`\r\u001b[2K${clip(text, columns - 1)}`)
        dirty = true
      } else write(`${text.slice(11)}\n`)
      if (last) {
        if (live) write('\n')
        dirty = false
        task = ''
      }
    },
    log(line) {
      clear()
      write(`${line}\n`)
    },
    end: clear,
  }
}

function bar(share: number): string {
  const full = Math.round(10 * Math.min(1, Math.max(0, share)))
  return '█'.repeat(full) + '░'.repeat(10 - full)
}

function left(done: number, remaining: number, milliseconds: number): string {
  if (done <= 0 || remaining <= 0 || milliseconds < 500) return ''
  return `  ${duration((milliseconds / done) * remaining)} left`
}

/** Milliseconds as people say them. */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

function clip(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`
}
