import { finiteNumber } from '../finite-number.js'
import type { Schedule } from '../optimizer.js'

/**
 * A staircase: `initial · factor^⌊epoch / every⌋`, `every` in epochs (default 1, a factor for each epoch).
 * Larger factors than 1 climb.
 */
export function step(stairs: { readonly initial: number; readonly factor: number; readonly every?: number }): Schedule {
  const initial = finiteNumber('step', 'initial', stairs.initial)
  const factor = finiteNumber('step', 'factor', stairs.factor, 0)
  const every = finiteNumber('step', 'every', stairs.every ?? 1, 0, true)
  return (at) => initial * factor ** Math.floor(at.epoch / every)
}
