/** How far a result may lie from the float64 reference: at most `absolute + relative·scale`. */
export interface Tolerance {
  readonly absolute: number
  readonly relative: number
  /** Why this much and no more. */
  readonly story: string
}

export type ToleranceName =
  | 'lossGradient'
  | 'lossGradientAbsolute'
  | 'relationGradient'
  | 'lossValue'
  | 'probability'
  | 'logProbability'
  | 'elementwise'
  | 'dot'
  | 'oneRounding'
  | 'float64Sum'
  | 'multiplier'
  | 'exact'

/**
 * Every tolerance of the kernels. Inputs and gradients are float32 (24 bits: 6e-8), values are float64 sums; the reference
 * computes in float64 throughout. Where gradients are judged, the weight of the row in the mean (w/Σw) is divided out first.
 */
export const tolerances: { readonly [name in ToleranceName]: Tolerance } = {
  /** Scale: the largest |gradient| of the row. */
  lossGradient: {
    absolute: 1e-15,
    relative: 1e-5,
    story:
      'At every temperature: T·(q − p) must keep five digits when q and p agree to six (T ≥ 1e3), so q − p may not be the ' +
      'difference of two float32 probabilities. 1e-15 is the rounding of the reference itself.',
  },
  /** Scale: max(1, T), T ≤ 20 only. */
  lossGradientAbsolute: {
    absolute: 0,
    relative: 5e-7,
    story: 'Eight float32 roundings of a probability, times the factor T that the gradient carries.',
  },
  /** Scale: the largest |gradient| of the row. */
  relationGradient: {
    absolute: 1e-11,
    relative: 1e-5,
    story:
      'A correlation divides by the norms of what is correlated: where it is exactly ±1 (two rows, whatever they say) the gradient is 0, ' +
      'and what a float64 computes is 1e-16 times the inverse of a norm.',
  },
  /** Scale: the value. `absolute` is per unit of (1 − a)·min(T, 20)² + a. */
  lossValue: {
    absolute: 1e-7,
    relative: 1e-6,
    story:
      'A KL below 1e-7 nats is noise of its float32 logits; above T = 20 the loss tends to ½·Var and must keep six digits.',
  },
  probability: {
    absolute: 1e-7,
    relative: 1e-5,
    story: 'exp turns the rounding of its argument (up to 88, 6e-8 of it) into a relative error of 5e-6.',
  },
  /** Scale: max(1, |log probability|). */
  logProbability: {
    absolute: 0,
    relative: 1e-6,
    story: 'Two roundings of (z − max)/T, one of the logarithm of the sum, one of the result.',
  },
  /** Scale: the largest |element| of inputs and result. */
  elementwise: {
    absolute: 1e-37,
    relative: 1e-6,
    story: 'A handful of float32 operations an element; their order is free (fused multiply-add or not).',
  },
  /** Scale: √K·Σ|aᵢ·bᵢ|, of K products. */
  dot: {
    absolute: 0,
    relative: 6e-8,
    story:
      'K roundings of at most 2⁻²⁴ of a partial sum, in whatever order; as good as random they grow like √K, not like K. ' +
      'No partial sum is above Σ|aᵢ·bᵢ|.',
  },
  oneRounding: {
    absolute: 2 ** -126,
    relative: 1.2e-7,
    story: 'One float32 product, with a factor that is rounded to float32 itself; what is subnormal may be 0.',
  },
  float64Sum: {
    absolute: 0,
    relative: 1e-12,
    story: 'Squares of float32 are exact in float64; only the order of the additions differs.',
  },
  multiplier: {
    absolute: 1e-9,
    relative: 0,
    story:
      'At the minimum of eq. 5 the multiplier of q is 1 + A for every class, in float64; 1e-9 of it is 5e-10 of q or less.',
  },
  exact: {
    absolute: 0,
    relative: 0,
    story: 'The same Philox words and whole numbers: the same bits.',
  },
}
