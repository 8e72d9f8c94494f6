import { finiteNumber } from './finite-number.js'
import type { MaxSquaredNorm } from './max-squared-norm.js'
import type { Optimizer, Schedule } from './optimizer.js'
import { sgd } from './sgd.js'

export interface Hinton2012Options {
  /** ε₀; default 1. The paper says 10, which with its N(0, 0.01) weights diverges or does not train at all. */
  readonly rate?: number
  /** Factor f of the rate for each epoch; default 0.998. */
  readonly decay?: number
  /** Momentum climbs in a straight line from `from` to `to` over `epochs` epochs; default 0.5 → 0.99 over 500. */
  readonly momentum?: { readonly from: number; readonly to: number; readonly epochs: number }
  /** The paper holds each hidden unit's incoming weights to squared length 15. */
  readonly maxSquaredNorm?: MaxSquaredNorm
  readonly clip?: number
}

/**
 * The training of "Improving neural networks by preventing co-adaptation of feature detectors" (arXiv 1207.0580, appendix
 * A.1), which the MNIST nets of Hinton, Vinyals & Dean 2015 used. In epoch t:
 * ε = ε₀·fᵗ; p = (t/E)·p_to + (1 − t/E)·p_from for t < E, p_to after; Δw ← p·Δw − (1 − p)·ε·gradient; w ← w + Δw.
 */
export function hinton2012(options: Hinton2012Options = {}): Optimizer {
  const rate = finiteNumber('hinton2012', 'rate', options.rate ?? 1, 0, true)
  const decay = finiteNumber('hinton2012', 'decay', options.decay ?? 0.998, 0, true)
  return sgd({
    rate: (at) => rate * decay ** at.epoch,
    momentum: ramp(options.momentum ?? { from: 0.5, to: 0.99, epochs: 500 }),
    momentumScaled: true,
    ...(options.maxSquaredNorm && { maxSquaredNorm: options.maxSquaredNorm }),
    ...(options.clip !== undefined && { clip: options.clip }),
  })
}

/** The paper's ramp counts whole epochs; `linear` would move with each step. */
function ramp({ from, to, epochs }: NonNullable<Hinton2012Options['momentum']>): Schedule {
  finiteNumber('hinton2012', 'momentum.from', from, 0)
  finiteNumber('hinton2012', 'momentum.to', to, 0)
  finiteNumber('hinton2012', 'momentum.epochs', epochs, 0, true)
  return (at) => {
    const share = Math.min(1, at.epoch / epochs)
    return share * to + (1 - share) * from
  }
}
