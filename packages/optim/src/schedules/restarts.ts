import { ArgumentError } from '@imago/tensor'
import { finiteNumber } from '../finite-number.js'
import type { Schedule } from '../optimizer.js'

/** One descent: half a cosine from `peak` to 0 over `epochs` epochs. */
export interface Cycle {
  readonly peak: number
  readonly epochs: number
}

/**
 * Cosine annealing with warm restarts (Loshchilov & Hutter 2017, SGDR §3, eq. 5): each cycle falls from its peak to 0, and the
 * next begins at its own. After the last one the value stays 0.
 *
 * @throws ArgumentError where there is no cycle, or one of no epochs
 */
export function restarts(cycles: readonly Cycle[]): Schedule {
  if (cycles.length === 0) throw new ArgumentError('restarts', 'cycles', 'at least one cycle', cycles)
  for (const [i, { peak, epochs }] of cycles.entries()) {
    finiteNumber('restarts', `cycles[${i}].peak`, peak)
    finiteNumber('restarts', `cycles[${i}].epochs`, epochs, 0, true)
  }
  return ({ step, stepsPerEpoch }) => {
    let into = step
    for (const { peak, epochs } of cycles) {
      const steps = epochs * stepsPerEpoch
      if (into < steps) return (peak * (1 + Math.cos((Math.PI * into) / steps))) / 2
      into -= steps
    }
    return 0
  }
}
