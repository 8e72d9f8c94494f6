import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { freemem, tmpdir } from 'node:os'
import { join } from 'node:path'
import { apart } from './numbers.mjs'

const tolerance = 1e-4

/**
 * One case of a row of memory: every contender evaluates it once in a process of its own, from `start(name)`, and tells its resident memory
 * at the peak less what it had before there were inputs. All must agree on the value and on the head of the gradient.
 */
export async function measureMemory(row, stem, settings, names, start, { threads }) {
  const folder = mkdtempSync(join(tmpdir(), 'imago-bench-'))
  const matrix = settings.rows * settings.classes * 4
  const left = {}
  const memory = {}
  let ours
  let worst = { difference: 0, tensor: '' }
  try {
    row.write(settings, folder)
    for (const name of names) {
      if (settings.without?.includes(name)) continue
      const [need, free] = [row.expected(settings, name), available()]
      if (need > 0.75 * free) {
        left[name] =
          `it takes about ${(need / 1e9).toFixed(0)} GB, more than three quarters of the ${(free / 1e9).toFixed(0)} that are free`
        continue
      }
      const side = start(name)
      try {
        await side.request('prepare', { row: stem, settings, folder, threads, variant: side.variant, memory: true })
        const { bytes, milliseconds, value, gradient } = await side.request('peak')
        memory[name] = { bytes, copies: bytes / matrix, milliseconds }
        ours ??= { value, gradient }
        const found = { value: apart([ours.value], [value]), gradient: apart(ours.gradient, gradient) }
        for (const [tensor, by] of Object.entries(found)) {
          if (!(by <= tolerance)) throw new Error(`disagrees with imago on ${tensor} by ${by}`)
          if (by > worst.difference) worst = { difference: by, tensor }
        }
      } catch (error) {
        delete memory[name]
        if (name === 'imago') throw error
        left[name] = error.message.split('\n')[0]
      } finally {
        await side.stop()
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const result = {
    row: stem,
    case: settings.name,
    threads,
    matrixBytes: matrix,
    floorBytes: row.floor(settings),
    memory,
    verdicts: [],
    left,
  }
  result.agreement = { value: ours?.value, tolerance, ...worst }
  if (settings.asked) {
    const { copies } = memory.imago ?? {}
    // A copy more is a whole one: what the runtime and the kernel need beside matrices is some MB.
    const found = copies === undefined ? {} : { copies, met: copies <= settings.asked.copies + 0.05 }
    result.verdicts.push({ name: 'copies of the logits', atMostCopies: settings.asked.copies, ...found })
  }
  return result
}

function available() {
  try {
    return 1024 * Number(/MemAvailable:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))[1])
  } catch {
    return freemem()
  }
}
