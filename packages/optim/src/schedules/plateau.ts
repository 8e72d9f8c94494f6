import { finiteNumber } from '../finite-number.js'
import type { Schedule } from '../optimizer.js'

/**
 * `peak` for the first `hold` of the run (a share in [0, 1), default 2/3), then half a cosine down to `floor` (default 0): long
 * enough at a high rate to explore, a short cooling at the end (the shape of "warm-up, stable, decay" schedules; Hu et al. 2024,
 * MiniCPM, §4).
 */
export function plateau(curve: { readonly peak: number; readonly floor?: number; readonly hold?: number }): Schedule {
  const peak = finiteNumber('plateau', 'peak', curve.peak)
  const floor = finiteNumber('plateau', 'floor', curve.floor ?? 0)
  const hold = Math.min(1, finiteNumber('plateau', 'hold', curve.hold ?? 2 / 3, 0))
  return ({ step, epochs, stepsPerEpoch }) => {
    const share = step / (epochs * stepsPerEpoch)
    if (share < hold) return peak
    if (share >= 1) return floor
    return floor + ((peak - floor) * (1 + Math.cos((Math.PI * (share - hold)) / (1 - hold)))) / 2
  }
}
