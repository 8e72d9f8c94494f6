import { finiteNumber } from '../finite-number.js'
import type { Schedule } from '../optimizer.js'

/**
 * Half a cosine from `peak` down to `floor` over the run (Loshchilov & Hutter 2017, SGDR §3, one cycle):
 * floor + (peak − floor)·(1 + cos πt)/2, t the share of the steps after the warm-up. During the first `warmup` epochs
 * (default 0) the value climbs in a straight line to `peak`, as with `warmUp`; after the last step it stays at `floor`.
 */
export function cosine(curve: { readonly peak: number; readonly floor?: number; readonly warmup?: number }): Schedule {
  const peak = finiteNumber('cosine', 'peak', curve.peak)
  const floor = finiteNumber('cosine', 'floor', curve.floor ?? 0)
  const warmup = finiteNumber('cosine', 'warmup', curve.warmup ?? 0, 0)
  return (at) => {
    const rising = warmup * at.stepsPerEpoch
    if (at.step < rising) return peak * Math.min(1, (at.step + 1) / rising)
    const falling = at.epochs * at.stepsPerEpoch - rising
    const share = falling <= 0 ? 1 : Math.min(1, (at.step - rising) / falling)
    return share === 1 ? floor : floor + ((peak - floor) * (1 + Math.cos(Math.PI * share))) / 2
  }
}
