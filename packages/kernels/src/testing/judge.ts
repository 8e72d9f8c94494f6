import type { Verdict } from './parity-case.js'
import { type ToleranceName, tolerances } from './tolerances.js'

type Numbers = ArrayLike<number>

/** The distance of two results: 0 for equal infinities, ∞ where only one is infinite or NaN. */
export function distance(want: number, got: number): number {
  if (Object.is(want, got) || want === got) return 0
  const d = Math.abs(want - got)
  return Number.isNaN(d) ? Number.POSITIVE_INFINITY : d
}

/** Judge an output element by element; `scale` is what the relative part refers to (the wanted element unless given). */
export function elements(
  output: string,
  want: Numbers,
  got: Numbers,
  tolerance: ToleranceName,
  scale: (want: number, i: number) => number = Math.abs,
): Verdict {
  const { absolute, relative } = tolerances[tolerance]
  let worst: Verdict = { output, error: 0, tolerance: 0 }
  for (let i = 0; i < want.length; i++) {
    const share = scale(want[i]!, i)
    const allowed = absolute + (relative === 0 || !Number.isFinite(share) ? 0 : relative * share)
    const verdict = { output, error: distance(want[i]!, got[i]!), tolerance: allowed }
    if (excess(verdict) >= excess(worst)) worst = verdict
  }
  return worst
}

/** Error as a multiple of the tolerance. */
export function excess({ error, tolerance }: Verdict): number {
  return error === 0 ? 0 : tolerance === 0 ? Number.POSITIVE_INFINITY : error / tolerance
}

/** The largest finite magnitude in the arrays. */
export function largest(...arrays: Numbers[]): number {
  let max = 0
  for (const array of arrays)
    for (let i = 0; i < array.length; i++) if (Number.isFinite(array[i])) max = Math.max(max, Math.abs(array[i]!))
  return max
}
