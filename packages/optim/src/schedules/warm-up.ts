import { finiteNumber } from '../finite-number.js'
import type { Schedule } from '../optimizer.js'
import { asSchedule } from './constant.js'

/**
 * A schedule whose first `epochs` epochs (fractions are fine) are scaled up in a straight line: the factor is
 * (step + 1) / (epochs · stepsPerEpoch), so that the first step moves and the last step of the warm-up has the full value.
 */
export function warmUp(schedule: number | Schedule, { epochs }: { readonly epochs: number }): Schedule {
  finiteNumber('warmUp', 'epochs', epochs, 0)
  const full = asSchedule(schedule)
  return (at) => {
    const steps = epochs * at.stepsPerEpoch
    return at.step + 1 >= steps ? full(at) : (full(at) * (at.step + 1)) / steps
  }
}
