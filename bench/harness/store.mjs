import { mkdtempSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startOnce } from './side.mjs'
import { summary } from './statistics.mjs'

const script = join(import.meta.dirname, 'store-side.mjs')

/**
 * One case of the store: plain writes, the teacher alone and the two together as `fillStore`, in turn, each in a process of its own; then
 * training steps that read what was written last. Processes are not tied to a core: writing has a thread of its own.
 */
export async function measureStore(stem, settings, { threads, rounds }) {
  const root = mkdtempSync(join(tmpdir(), 'imago-bench-store-'))
  const bytes = settings.rows * bytesOfRow(settings)
  const result = { row: stem, case: settings.name, threads, rows: settings.rows, bytes, verdicts: [], left: {} }
  try {
    const free = statfsSync(root)
    if (free.bavail * free.bsize < 2 * bytes) {
      result.left.imago = `it takes ${(bytes / 1e9).toFixed(1)} GB twice, and ${root} has not so much`
      return judged(result, settings)
    }
    const run = (phase, folder) =>
      startOnce(
        phase,
        process.execPath,
        [script, JSON.stringify({ ...settings, phase, folder, bytes, shardBytes: 2 ** 26, threads })],
        {
          env: { IMAGO_NUM_THREADS: String(threads) },
        },
      )
    const times = { plain: [], teacher: [], teach: [] }
    const cpu = { plain: [], teacher: [], teach: [] }
    const timed = async (phase, folder) => {
      const found = await run(phase, folder)
      times[phase].push(found.seconds)
      cpu[phase].push(found.cpu)
      return found
    }
    let peak = 0
    let store
    for (let round = 0; round < rounds; round++) {
      const plain = join(root, `plain-${round}`)
      await timed('plain', plain)
      rmSync(plain, { recursive: true })
      await timed('teacher')
      if (store) rmSync(store, { recursive: true })
      store = join(root, `store-${round}`)
      const { peak: most } = await timed('teach', store)
      peak = Math.max(peak, most)
    }
    result.bytes = readdirSync(store).reduce((sum, name) => sum + statSync(join(store, name)).size, 0)
    const read = await run('read', store)
    result.seconds = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, summary(values)]))
    // What the processor did for it, all threads and the start of the process: what else runs moves this less than the time.
    result.cpu = Object.fromEntries(Object.entries(cpu).map(([name, values]) => [name, summary(values)]))
    result.share = summary(times.teach.map((seconds, i) => Math.max(times.plain[i], times.teacher[i]) / seconds))
    result.peak = peak
    result.readPeak = read.peak
    const { step, ahead, wait, read: targets } = read.times
    result.step = summary(step)
    result.ahead = summary(ahead)
    result.wait = summary(wait)
    result.read = summary(targets)
    // Means: a long wait now and then counts too. With threads that share a core with the step, reading also slows what computes.
    result.waiting = mean(wait) / mean(ahead)
    result.steps = mean(step) / mean(ahead)
    return judged(result, settings)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

function bytesOfRow({ classes, encoding: { kind, type } }) {
  return kind === 'full' ? (type === 'float32' ? 4 : 2) * classes + 4 : 350
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function judged(result, { asked }) {
  const add = (name, atLeast, found) =>
    atLeast !== undefined &&
    result.verdicts.push({ name, atLeast, ...(found && { ...found, met: found.median >= atLeast }) })
  const even = (value) => ({ median: value, q10: value, q90: value })
  add('of the lower limit', asked.share, result.share)
  add(
    `× below ${asked.mebibytes} MiB`,
    asked.mebibytes && 1,
    result.peak && even((asked.mebibytes * 2 ** 20) / result.peak),
  )
  add('of a step not waiting for targets', asked.working, result.waiting && even(1 - result.waiting))
  return result
}
