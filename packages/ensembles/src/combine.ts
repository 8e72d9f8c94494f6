import { ArgumentError } from '@imago/tensor'

/** How the logits of several members become those of one: a row at a time, in float64. */
export interface Combine {
  readonly name: string
  /** How much each member counts, in their order; left out: alike. */
  readonly weights?: readonly number[] | undefined
  /**
   * Write the combined logits of one row to `out`. `members` holds a row [C] of each member whose weight is above 0 (−∞ is no
   * mass, NaN and +∞ do not come), `weights` theirs, adding up to 1.
   */
  readonly row: (members: readonly Float64Array[], weights: readonly number[], out: Float64Array) => void
}

export interface WeightOptions {
  /** How much each member counts: finite, ≥ 0, not all 0; only their ratios matter. A member of weight 0 is not run. */
  readonly weights?: readonly number[] | undefined
}

/** @throws ArgumentError */
export function checkWeights(caller: string, weights: readonly number[] | undefined): void {
  if (weights === undefined) return
  const bad = weights.findIndex((w) => !(typeof w === 'number' && w >= 0 && w < Number.POSITIVE_INFINITY))
  if (bad >= 0) throw new ArgumentError(caller, `weights[${bad}]`, 'a finite number ≥ 0', weights[bad])
  const sum = weights.reduce((a, b) => a + b, 0)
  if (!(sum > 0 && sum < Number.POSITIVE_INFINITY))
    throw new ArgumentError(caller, 'weights', 'numbers whose sum is finite and > 0', weights)
}

/** The weights of `count` members, adding up to 1. */
export function shares(caller: string, combine: Combine, count: number): number[] {
  const { weights } = combine
  if (weights === undefined) return new Array<number>(count).fill(1 / count)
  checkWeights(caller, weights)
  if (weights.length !== count)
    throw new ArgumentError(caller, `${combine.name}.weights`, `${count} numbers, one a member`, weights)
  const sum = weights.reduce((a, b) => a + b)
  return weights.map((w) => w / sum)
}

/** log Σ_c exp(v_c · scale), with −∞ as no mass. */
export function logSumExp(values: Float64Array, scale: number = 1): number {
  let top = Number.NEGATIVE_INFINITY
  for (const v of values) if (v > top) top = v
  if (top === Number.NEGATIVE_INFINITY) return top
  let sum = 0
  for (const v of values) sum += Math.exp((v - top) * scale)
  return top * scale + Math.log(sum)
}
