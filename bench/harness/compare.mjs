import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { judge } from './judge.mjs'
import { apart, readNumbers } from './numbers.mjs'
import { slope, summary } from './statistics.mjs'

/** How far apart two float32 programs of the same formulas may be, of the largest magnitude, where a row does not say. */
const usual = 1e-4

/**
 * One case of a row: all contenders (a map from names to processes) get the same numbers, must agree, and are then timed in
 * turn, round by round. One that cannot prepare the case is left out, with its reason; imago may not be. The result is plain data.
 */
export async function compare(row, stem, settings, sides, { threads, rounds, blockMs, start }) {
  const folder = mkdtempSync(join(tmpdir(), 'imago-bench-'))
  try {
    row.write(settings, folder)
    const contenders = new Map()
    const left = {}
    let facts
    for (const [name, side] of sides) {
      if (settings.without?.includes(name)) continue
      try {
        const prepared = await side.request('prepare', { row: stem, settings, folder, threads, variant: side.variant })
        if (name === 'imago') facts = prepared.facts
        contenders.set(name, side)
      } catch (error) {
        if (name === 'imago') throw error
        left[name] = error.message.split('\n')[0]
      }
    }
    const what = `${stem} ${settings.name}`
    const agreement = await agree(what, folder, contenders, settings.tolerance ?? row.tolerance ?? usual)
    const times = await timeInTurn(contenders, { rounds, blockMs, least: row.least ?? 5 })
    await stillFinite(what, contenders)
    const milliseconds = Object.fromEntries(Object.entries(times).map(([name, values]) => [name, summary(values)]))
    const result = {
      row: stem,
      case: settings.name,
      threads,
      milliseconds,
      verdicts: judge(row, settings, times),
      agreement,
    }
    if (Object.keys(left).length > 0) result.left = left
    if (facts) result.facts = facts
    if (row.peaks) result.peaks = await peaksOf(row, stem, settings, folder, start, threads)
    if (settings.buildMs !== undefined)
      result.verdicts.push({
        name: 'session build',
        median: facts.buildMs,
        atMost: settings.buildMs,
        met: facts.buildMs <= settings.buildMs,
      })
    if (result.peaks?.['torch default'] !== undefined)
      result.verdicts.push({
        name: 'peak memory below torch default',
        median: result.peaks['torch default'] / result.peaks.imago,
        atLeast: 1,
        met: result.peaks.imago <= result.peaks['torch default'],
      })
    if (row.overhead) result.overhead = await sides.get('imago').request('overhead', { iterations: 200 })
    return result
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Resident memory at the peak of a few steps, less what the process had before the case; a fresh process for each. */
async function peaksOf(row, stem, settings, folder, start, threads) {
  const peaks = {}
  for (const name of row.peaks) {
    const side = start(name)
    if (side === undefined) continue
    try {
      await side.request('prepare', { row: stem, settings, folder, threads, variant: side.variant, peak: true })
      peaks[name] = (await side.request('peak')).bytes
    } finally {
      await side.stop()
    }
  }
  return peaks
}

/** Before anything is timed: the same value and tensors (for a step: loss, gradients, parameters after it). */
async function agree(what, folder, contenders, tolerance) {
  let ours
  let worst = { difference: 0, tensor: '' }
  for (const [name, side] of contenders) {
    if (side.yardstick) continue
    const prefix = ours === undefined ? 'ours' : 'theirs'
    const { value, tensors } = await side.request('check', { folder, prefix })
    if (!Number.isFinite(value)) throw new Error(`${what}: the value of ${name} is ${value}`)
    if (ours === undefined) {
      ours = { value, tensors: tensors.map((tensor) => [tensor, readNumbers(folder, `ours-${tensor}`)]) }
      continue
    }
    const found = [['value', apart([ours.value], [value])]]
    for (const [tensor, data] of ours.tensors)
      found.push([tensor, apart(data, readNumbers(folder, `theirs-${tensor}`))])
    for (const [tensor, by] of found) {
      if (!(by <= tolerance))
        throw new Error(`${what}: imago and ${name} disagree on ${tensor} by ${by}; nothing was timed`)
      if (by > worst.difference) worst = { difference: by, tensor }
    }
  }
  return { value: ours.value, tolerance, ...worst }
}

/** Rounds of one block each, every contender in turn; a shorter block goes before to warm caches that the others took. */
async function timeInTurn(contenders, { rounds, blockMs, least }) {
  const times = Object.fromEntries([...contenders.keys()].map((name) => [name, []]))
  const iterations = {}
  for (const [name, side] of contenders) {
    await side.request('time', { iterations: Math.min(3, least) })
    const { milliseconds } = await side.request('time', { iterations: least })
    iterations[name] = Math.max(least, Math.ceil(blockMs / milliseconds))
  }
  for (let round = 0; round < rounds; round++)
    for (const [name, side] of contenders) {
      await side.request('time', { iterations: Math.max(least === 5 ? 6 : 1, Math.ceil(iterations[name] / 5)) })
      times[name].push((await side.request('time', { iterations: iterations[name] })).milliseconds)
    }
  return times
}

/** After all those steps nobody may have computed with NaN, which is faster or slower than numbers. */
async function stillFinite(what, contenders) {
  for (const [name, side] of contenders) {
    const { value } = await side.request('outcome')
    if (!Number.isFinite(value)) throw new Error(`${what}: the value of ${name} became ${value}; its times are void`)
  }
}

/** Resident memory over many steps; the slope is taken over the second half, when pools are full. */
export async function growth(row, stem, settings, side, { threads, steps }) {
  const folder = mkdtempSync(join(tmpdir(), 'imago-bench-'))
  try {
    row.write(settings, folder)
    await side.request('prepare', { row: stem, settings, folder, threads })
    const { points } = await side.request('growth', { steps, samples: 20 })
    const later = points.slice(points.length >> 1)
    return {
      case: settings.name,
      threads,
      steps,
      firstMiB: points[0][1] / 2 ** 20,
      lastMiB: points.at(-1)[1] / 2 ** 20,
      bytesPerStep: slope(later),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
