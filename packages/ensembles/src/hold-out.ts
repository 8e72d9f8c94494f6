import { type Combine, logSumExp } from './combine.js'
import type { MemberLogits } from './member-logits.js'
import { type Metric, scoring } from './metric.js'

/** The library's predictions on the labelled rows, summed up so that one more member is one addition. */
export interface HoldOut {
  readonly members: number
  /** An empty sum, to add members to. */
  readonly empty: () => Float64Array
  readonly add: (sum: Float64Array, member: number) => void
  /** How well the mean of `count` members scores, whose sum but for `member` is `sum`; the less the better. */
  readonly score: (sum: Float64Array, member: number, count: number) => number
}

export type Average = 'arithmetic' | 'geometric'

/**
 * Distributions (arithmetic) or their logarithms (geometric) of every member on the rows `at`, [rows, C] float64 each. Both are
 * normalised member by member, so that the mean over k members is their sum / k.
 */
export function holdOut(
  caller: string,
  logits: MemberLogits,
  at: Uint32Array,
  labels: Int32Array,
  metric: Metric,
  average: Average,
): HoldOut {
  const { classes } = logits
  const { row: rowScore, finish } = scoring(caller, metric)
  const tables = logits.readers.map((read) => {
    const whole = new Float64Array(at.length * classes)
    for (const [i, row] of at.entries()) {
      const z = whole.subarray(i * classes, (i + 1) * classes)
      read(row, z)
      const norm = logSumExp(z)
      for (let c = 0; c < classes; c++) z[c] = average === 'arithmetic' ? Math.exp(z[c]! - norm) : z[c]! - norm
    }
    return whole
  })
  const p = new Float64Array(classes)
  return {
    members: tables.length,
    empty: () => new Float64Array(at.length * classes),
    add(sum, member) {
      const more = tables[member]!
      for (let i = 0; i < sum.length; i++) sum[i]! += more[i]!
    },
    score(sum, member, count) {
      const more = tables[member]!
      let total = 0
      for (const [i, row] of at.entries()) {
        for (let c = 0; c < classes; c++) p[c] = (sum[i * classes + c]! + more[i * classes + c]!) / count
        if (average === 'geometric' && !normalise(p)) return Number.POSITIVE_INFINITY
        total += rowScore(p, labels[row]!)
      }
      return finish(total, at.length, classes)
    },
  }
}

/** Logarithms to a distribution, in place; false where they leave no class. */
function normalise(p: Float64Array): boolean {
  const norm = logSumExp(p)
  if (norm === Number.NEGATIVE_INFINITY) return false
  for (let c = 0; c < p.length; c++) p[c] = Math.exp(p[c]! - norm)
  return true
}

/** The score of what `combine` makes of the whole library, on the same rows. */
export function combinedScore(
  caller: string,
  logits: MemberLogits,
  at: Uint32Array,
  labels: Int32Array,
  metric: Metric,
  combine: Combine,
): number {
  const { row: rowScore, finish } = scoring(caller, metric)
  const weights = combine.weights!
  const counting = [...weights.keys()].filter((m) => weights[m]! > 0)
  const above = counting.map((m) => weights[m]!)
  const scratch = counting.map(() => new Float64Array(logits.classes))
  const p = new Float64Array(logits.classes)
  let total = 0
  for (const row of at) {
    for (const [i, m] of counting.entries()) logits.readers[m]!(row, scratch[i]!)
    combine.row(scratch, above, p)
    if (!normalise(p)) return Number.POSITIVE_INFINITY
    total += rowScore(p, labels[row]!)
  }
  return finish(total, at.length, logits.classes)
}
