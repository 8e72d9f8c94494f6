import { distance, elements, excess, largest } from './judge.js'
import type { Verdict } from './parity-case.js'
import { tolerances } from './tolerances.js'

/** What the judge of a loss needs to know of the call. */
export interface LossFacts {
  readonly rows: number
  readonly classes: number
  readonly temperature: number
  /** w_r/Σw of each row, 0 where the row is left out. */
  readonly shares: Float64Array
  /** By what results are multiplied before they are judged: T² where the kernel leaves it out. */
  readonly factor: number
  /** By what gradients are judged; lossGradient unless given. */
  readonly tolerance?: 'lossGradient' | 'relationGradient' | undefined
}

/** Rows that are left out must be exactly 0, the others close by row and, up to T = 20, close at all. */
export function lossGradient(facts: LossFacts, want: Float32Array, got: Float32Array): Verdict {
  const { rows, classes, shares, factor } = facts
  let worst: Verdict = { output: 'gradient', error: 0, tolerance: 0 }
  for (let r = 0; r < rows; r++) {
    const share = shares[r]! / factor
    const wanted = want.subarray(r * classes, (r + 1) * classes)
    let error = 0
    for (let c = 0; c < classes; c++) error = Math.max(error, distance(wanted[c]!, got[r * classes + c]!))
    const verdict =
      share === 0
        ? { output: 'gradient', error, tolerance: 0 }
        : { output: 'gradient', error: error / share, tolerance: allowed(facts, largest(wanted), share) }
    if (excess(verdict) >= excess(worst)) worst = verdict
  }
  return worst
}

/** Below this float32 has no normal numbers. */
const smallest = 2 ** -126

function allowed({ temperature, tolerance = 'lossGradient' }: LossFacts, rowLargest: number, share: number): number {
  const { absolute, relative } = tolerances[tolerance]
  const byRow = absolute + Math.max(smallest, relative * rowLargest) / share
  if (temperature > 20 || tolerance !== 'lossGradient') return byRow
  return Math.min(byRow, smallest / share + tolerances.lossGradientAbsolute.relative * Math.max(1, temperature))
}

/** Judge a value whose soft part has the share `1 − a` and the hard part the share `a`. */
export function lossValue(output: string, facts: LossFacts, a: number, want: number, got: number): Verdict {
  const { absolute, relative } = tolerances.lossValue
  const { temperature, factor } = facts
  const unit = (1 - a) * Math.min(temperature, 20) ** 2 + a
  const scaled = elements(output, [want * factor], [got * factor], 'exact')
  return { ...scaled, tolerance: Number.isFinite(want) ? absolute * unit + relative * Math.abs(want * factor) : 0 }
}
