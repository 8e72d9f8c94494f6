import { ArgumentError } from '@imago/tensor'
import { type Combine, checkWeights, logSumExp, type WeightOptions } from './combine.js'

export interface ArithmeticOptions extends WeightOptions {
  /** T > 0, at which every member is tempered before the mean is taken; 1 unless given. */
  readonly temperature?: number | undefined
}

/**
 * The arithmetic mean of the members' distributions, each tempered first (Hinton, Vinyals & Dean 2015, §1):
 *
 *   softmax(logits / T) = p = Σ_m w_m · softmax(z_m / T)
 *
 * The `logits` that come out are log-probabilities, log softmax(T · log p): a soft-target loss at the same T reads p from them,
 * a loss or an evaluation at another T′ reads p^(T/T′), normalised, which is not the mean of the members at T′. For that, combine
 * the members again. Identical members give that member, at every temperature.
 *
 * @throws ArgumentError for T ≤ 0 and for weights that are none
 */
export function arithmetic(options: ArithmeticOptions = {}): Combine {
  const { temperature = 1, weights } = options
  if (!(typeof temperature === 'number' && temperature > 0 && Number.isFinite(temperature)))
    throw new ArgumentError('arithmetic', 'temperature', 'a finite number > 0', temperature)
  checkWeights('arithmetic', weights)
  return {
    name: 'arithmetic',
    weights,
    row(members, shares, out) {
      // log w_m − log Σ_c exp(z_mc / T): what turns z_mc / T into the log of the member's part of p_c.
      const offsets = members.map((z, m) => Math.log(shares[m]!) - logSumExp(z, 1 / temperature))
      for (let c = 0; c < out.length; c++) {
        let top = Number.NEGATIVE_INFINITY
        for (let m = 0; m < members.length; m++) top = Math.max(top, members[m]![c]! / temperature + offsets[m]!)
        let sum = 0
        if (top > Number.NEGATIVE_INFINITY)
          for (let m = 0; m < members.length; m++) sum += Math.exp(members[m]![c]! / temperature + offsets[m]! - top)
        out[c] = temperature * (top + Math.log(sum))
      }
      // In float64 and before the rounding to float32: at a large T, T·log p is large and nearly the same for every class.
      const norm = logSumExp(out)
      for (let c = 0; c < out.length; c++) out[c]! -= norm
    },
  }
}
