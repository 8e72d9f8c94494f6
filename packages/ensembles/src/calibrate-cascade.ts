import { ArgumentError } from '@imago/tensor'
import { never } from './cascade.js'
import { point } from './evaluate-cascade.js'
import { type CascadeHoldOut, type CascadePoint, type StageRows, stageRows } from './stage-rows.js'

export interface CalibrateCascadeOptions extends CascadeHoldOut {
  /** The cheapest cascade that is at least so accurate, or the most accurate one that costs at most so much a row. */
  readonly want: { readonly accuracy: number } | { readonly cost: number }
}

/** Thresholds, and what they come to on the rows that chose them. */
export interface CalibratedCascade extends CascadePoint {
  /** All thresholds worth having, from cheap to dear: each is more accurate than any that costs no more. */
  readonly report: readonly CascadePoint[]
}

/** Settings of all thresholds but the last that are tried. */
const most = 4096

/**
 * Thresholds for `cascade` from what its stages said about hold-out rows. With two stages every cut between two rows is tried; with more,
 * every cut of the last threshold together with quantiles of the others' confidences, up to 64 each (fewer from five stages on).
 *
 * The figures are those of the rows that chose the thresholds; look at other rows, with `evaluateCascade`, before you promise them.
 *
 * @throws ArgumentError where no thresholds come up to what is wanted, and say what does; NotFoundError, ShapeError naming the stage,
 *   NumericError
 */
export function calibrateCascade(options: CalibrateCascadeOptions): CalibratedCascade {
  const caller = 'calibrateCascade'
  const wanted = wantOf(caller, options.want)
  const rows = stageRows(caller, options)
  const report =
    rows.confidences.length === 1 ? [point([], rows.rows, sum(rows.right[0]!), [rows.rows], rows.upTo)] : front(rows)
  const chosen = wanted.choose(report)
  if (chosen === undefined) throw new ArgumentError(caller, wanted.argument, wanted.reach(report), wanted.value)
  return { ...chosen, report }
}

/** The best points over the tried thresholds, each dearer and more accurate than the one before. */
function front(rows: StageRows): CascadePoint[] {
  const stages = rows.confidences.length
  const quantiles = Math.min(64, Math.floor(most ** (1 / Math.max(1, stages - 2))))
  const grid = rows.confidences.slice(0, -2).map((values) => cutsOf(values, quantiles))
  const order = Uint32Array.from(rows.confidences[stages - 2]!.keys()).sort(
    (i, j) => rows.confidences[stages - 2]![i]! - rows.confidences[stages - 2]![j]!,
  )
  let best: CascadePoint[] = []
  for (const first of combinations(grid)) best = undominated([...best, ...sweep(rows, first, order)])
  return best
}

/**
 * All cuts of the last threshold for given first ones, from 0 (the last stage but one answers everything that reaches it: cheapest) to
 * `never`: rows go on to the last stage in the order of their confidence.
 */
function sweep(rows: StageRows, first: readonly number[], order: Uint32Array): CascadePoint[] {
  const { confidences, right, upTo } = rows
  const s = confidences.length - 2
  const counts = new Array<number>(s + 2).fill(0)
  let hits = 0
  const left: number[] = []
  for (const i of order) {
    let at = 0
    while (at < s && confidences[at]![i]! < first[at]!) at++
    if (at === s) left.push(i)
    counts[at]! += 1
    hits += right[at]![i]!
  }
  const found = [point([...first, 0], rows.rows, hits, counts, upTo)]
  for (const [k, i] of left.entries()) {
    counts[s]! -= 1
    counts[s + 1]! += 1
    hits += right[s + 1]![i]! - right[s]![i]!
    const [below, above] = [confidences[s]![i]!, confidences[s]![left[k + 1] ?? -1] ?? never]
    // Rows of the same confidence go together; what is not more accurate than something cheaper is not worth having.
    if (below < above && hits / rows.rows > found.at(-1)!.accuracy)
      found.push(point([...first, between(below, above)], rows.rows, hits, counts, upTo))
  }
  return found
}

/** From cheap to dear, without those that something cheaper or as cheap equals in accuracy. */
function undominated(points: readonly CascadePoint[]): CascadePoint[] {
  const kept: CascadePoint[] = []
  for (const one of points.toSorted((a, b) => a.cost - b.cost || b.accuracy - a.accuracy))
    if (kept.length === 0 || one.accuracy > kept.at(-1)!.accuracy) kept.push(one)
  return kept
}

/** 0, `never`, and thresholds between at quantiles of some confidences: at most `count` numbers. */
function cutsOf(values: Float64Array, count: number): number[] {
  const sorted = values.toSorted()
  const cuts = new Set([0, never])
  for (let q = 1; q < count - 1; q++) {
    const at = Math.floor((q * sorted.length) / (count - 1))
    if (at > 0 && at < sorted.length && sorted[at - 1]! < sorted[at]!) cuts.add(between(sorted[at - 1]!, sorted[at]!))
  }
  return [...cuts]
}

/** A threshold that `above` reaches and `below` does not: half way, so that the last bits of a logit decide nothing. */
function between(below: number, above: number): number {
  if (above === never) return never
  const middle = below + (above - below) / 2
  return middle > below ? middle : above
}

function* combinations(grid: readonly (readonly number[])[]): Generator<number[]> {
  const [first, ...others] = grid
  if (first === undefined) yield []
  else for (const cut of first) for (const rest of combinations(others)) yield [cut, ...rest]
}

interface Wanted {
  readonly argument: string
  readonly value: number
  readonly choose: (report: readonly CascadePoint[]) => CascadePoint | undefined
  readonly reach: (report: readonly CascadePoint[]) => string
}

function wantOf(caller: string, want: CalibrateCascadeOptions['want']): Wanted {
  if (typeof want === 'object' && want !== null && 'accuracy' in want !== 'cost' in want) {
    if ('accuracy' in want && want.accuracy >= 0 && want.accuracy <= 1)
      return {
        argument: 'want.accuracy',
        value: want.accuracy,
        choose: (report) => report.find(({ accuracy }) => accuracy >= want.accuracy),
        reach: (report) => `at most ${report.at(-1)!.accuracy}, which is the best these stages do on these rows`,
      }
    if ('cost' in want && want.cost >= 0)
      return {
        argument: 'want.cost',
        value: want.cost,
        choose: (report) => report.findLast(({ cost }) => cost <= want.cost),
        reach: (report) => `at least ${report[0]!.cost}, which is what the first stage costs alone`,
      }
  }
  throw new ArgumentError(caller, 'want', 'either { accuracy } in [0, 1] or { cost } ≥ 0', JSON.stringify(want))
}

function sum(values: Uint8Array): number {
  return values.reduce((a, b) => a + b, 0)
}
