/** A row's largest probability, max_c softmax(z)_c, in (0, 1]: what a cascade holds against its threshold. */
export function confidence(z: Float64Array): number {
  let top = Number.NEGATIVE_INFINITY
  for (const v of z) if (v > top) top = v
  let sum = 0
  for (const v of z) sum += Math.exp(v - top)
  return 1 / sum
}

/** The class of the largest logit, the first of equals. */
export function argmax(z: Float64Array): number {
  let best = 0
  for (let c = 1; c < z.length; c++) if (z[c]! > z[best]!) best = c
  return best
}
