import { type Combine, checkWeights, logSumExp, type WeightOptions } from './combine.js'

/**
 * The geometric mean of the members' distributions, normalised (Hinton, Vinyals & Dean 2015, §1). At every temperature it is
 *
 *   softmax(logits / T) ∝ Π_m softmax(z_m / T)^w_m = softmax(Σ_m w_m·z_m / T)
 *
 * so that one set of logits serves all of them. The `logits` that come out are log-probabilities, log softmax(Σ w_m·z_m). A class
 * that one member gives no mass has none.
 *
 * @throws ArgumentError for weights that are none
 */
export function geometric(options: WeightOptions = {}): Combine {
  checkWeights('geometric', options.weights)
  return {
    name: 'geometric',
    weights: options.weights,
    row(members, shares, out) {
      meanOf(members, shares, out)
      const norm = logSumExp(out)
      if (norm > Number.NEGATIVE_INFINITY) for (let c = 0; c < out.length; c++) out[c]! -= norm
    },
  }
}

/** Σ_m w_m·z_mc; the weights are above 0, so that 0 · −∞ does not come up. */
export function meanOf(members: readonly Float64Array[], shares: readonly number[], out: Float64Array): void {
  for (let c = 0; c < out.length; c++) {
    let sum = 0
    for (let m = 0; m < members.length; m++) sum += shares[m]! * members[m]![c]!
    out[c] = sum
  }
}
