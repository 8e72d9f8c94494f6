import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { difference, readNumbers } from './numbers.mjs'
import { ratio, slope, summary } from './statistics.mjs'

/** How far apart two float32 programs of the same formulas may be, of the largest magnitude. */
const tolerance = 1e-4

/**
 * One case of a row: all contenders get the same numbers, must agree, and are then timed in turn, round by round.
 * `torch` maps PyTorch's variants to processes, one each; the result is plain data.
 */
export async function compare(row, stem, settings, { imago, torch }, { threads, rounds, blockMs }) {
  const folder = mkdtempSync(join(tmpdir(), 'imago-bench-'))
  try {
    row.write(settings, folder)
    const contenders = new Map([['imago', imago]])
    const left = {}
    const request = { row: stem, settings, folder, threads }
    await imago.request('prepare', request)
    for (const variant of row.variants.filter((variant) => torch[variant])) {
      try {
        await torch[variant].request('prepare', { ...request, variant })
        contenders.set(`torch ${variant}`, torch[variant])
      } catch (error) {
        left[variant] = error.message.split('\n')[0]
      }
    }
    const agreement = await agree(`${stem} ${settings.name}`, folder, contenders)
    const times = await timeInTurn(contenders, { rounds, blockMs })
    await stillFinite(`${stem} ${settings.name}`, contenders)
    const result = { row: stem, case: settings.name, threads, milliseconds: {}, ratio: {}, agreement }
    if (Object.keys(left).length > 0) result.left = left
    if (settings.target !== undefined) result.target = settings.target
    for (const name of contenders.keys()) {
      result.milliseconds[name] = summary(times[name])
      if (name !== 'imago') result.ratio[name] = ratio(times.imago, times[name])
    }
    if (row.overhead) result.overhead = await imago.request('overhead', { iterations: 200 })
    return result
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Before anything is timed: the same value and tensors (for a step: loss, gradients, parameters after it), to `tolerance`. */
async function agree(what, folder, contenders) {
  let ours
  let worst = { difference: 0, tensor: '' }
  for (const [name, side] of contenders) {
    const { value, tensors } = await side.request('check', { folder })
    if (!Number.isFinite(value)) throw new Error(`${what}: the value of ${name} is ${value}`)
    ours ??= { value, tensors: new Map(tensors.map((tensor) => [tensor, readNumbers(folder, `imago-${tensor}`)])) }
    if (name === 'imago') continue
    const apart = [['value', difference([ours.value], [value])]]
    for (const [tensor, data] of ours.tensors)
      apart.push([tensor, difference(data, readNumbers(folder, `torch-${tensor}`))])
    for (const [tensor, by] of apart) {
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
      await side.request('time', { iterations: Math.ceil(iterations[name] / 5) })
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
export async function memory(row, stem, settings, side, { threads, steps }) {
  const folder = mkdtempSync(join(tmpdir(), 'imago-bench-'))
  try {
    row.write(settings, folder)
    await side.request('prepare', { row: stem, settings, folder, threads })
    const { points } = await side.request('memory', { steps, samples: 20 })
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
