import { finiteNumber } from '../finite-number.js'
import type { Schedule } from '../optimizer.js'

/**
 * A straight line from `from` to `to` over the first `epochs` epochs (default: the whole run), then `to`.
 * It moves with every step: value = from + (to − from)·min(1, t/epochs), t = step / stepsPerEpoch.
 */
export function linear(line: { readonly from: number; readonly to: number; readonly epochs?: number }): Schedule {
  const from = finiteNumber('linear', 'from', line.from)
  const to = finiteNumber('linear', 'to', line.to)
  const length = line.epochs === undefined ? undefined : finiteNumber('linear', 'epochs', line.epochs, 0, true)
  return (at) => {
    const share = Math.min(1, at.step / at.stepsPerEpoch / (length ?? at.epochs))
    // Both ends are met exactly: from + (to − from) need not round to `to`.
    return share === 1 ? to : from + (to - from) * share
  }
}
