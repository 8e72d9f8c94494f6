import { checkThresholds } from './cascade.js'
import { type CascadeHoldOut, type CascadePoint, type StageRows, stageRows } from './stage-rows.js'

/**
 * What a cascade with these thresholds comes to on rows whose labels are known, without running it.
 * @throws ArgumentError, NotFoundError, ShapeError naming the stage, NumericError
 */
export function evaluateCascade(holdOut: CascadeHoldOut & { readonly thresholds: readonly number[] }): CascadePoint {
  const rows = stageRows('evaluateCascade', holdOut)
  checkThresholds('evaluateCascade', holdOut.thresholds, holdOut.outputs.length)
  return pointAt(rows, holdOut.thresholds)
}

export function pointAt({ rows, confidences, right, upTo }: StageRows, thresholds: readonly number[]): CascadePoint {
  const counts = new Array<number>(confidences.length).fill(0)
  let hits = 0
  for (let i = 0; i < rows; i++) {
    let s = 0
    while (s < thresholds.length && confidences[s]![i]! < thresholds[s]!) s++
    counts[s]! += 1
    hits += right[s]![i]!
  }
  return point(thresholds, rows, hits, counts, upTo)
}

/** The same sums in the same order wherever a point is made, so that equal counts give equal numbers. */
export function point(
  thresholds: readonly number[],
  rows: number,
  hits: number,
  counts: readonly number[],
  upTo: readonly number[],
): CascadePoint {
  return {
    thresholds,
    accuracy: hits / rows,
    cost: counts.reduce((sum, count, s) => sum + count * upTo[s]!, 0) / rows,
    answered: counts.map((count) => count / rows),
  }
}
