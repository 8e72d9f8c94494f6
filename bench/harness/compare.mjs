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
export async function compare(row, stem, settings, sides, { threads, rounds, blockMs }) {
  const folder = mkdtempSync(join(tmpdir(), 'imago-bench-'))
  try {
    row.write(settings, folder)
    const contenders = new Map()
    const left = {}
    for (const [name, side] of sides) {
      if (settings.without?.includes(name)) continue
      try {
        await side.request('prepare', { row: stem, settings, folder, threads, variant: side.variant })
        contenders.set(name, side)
      } catch (error) {
        if (name === 'imago') throw error
        left[name] = error.message.split('\n')[0]
      }
    }
    const what = `${stem} ${settings.name}`
    const agreement = await agree(what, folder, contenders, row.tolerance ?? usual)
    const times = await timeInTurn(contenders, { rounds, blockMs })
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
    if (row.overhead) result.overhead = await sides.get('imago').request('overhead', { iterations: 200 })
    return result
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
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
async function timeInTurn(contenders, { rounds, blockMs }) {
  const times = Object.fromEntries([...contenders.keys()].map((name) => [name, []]))
  const iterations = {}
  for (const [name, side] of contenders) {
    await side.request('time', { iterations: 3 })
    const { milliseconds } = await side.request('time', { iterations: 5 })
    iterations[name] = Math.max(5, Math.ceil(blockMs / milliseconds))
  }
  for (let round = 0; round < rounds; round++)
    for (const [name, side] of contenders) {
      await side.request('time', { iterations: Math.max(6, Math.ceil(iterations[name] / 5)) })
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
