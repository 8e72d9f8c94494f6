import { ArgumentError } from '@imago/tensor'

/** What one constant, added to the biases of some classes ("raised"), can change about a row's prediction. */
export interface BiasRows {
  /** [N]: the largest logit of the other classes minus the largest of the raised ones; above it a raised class wins. */
  readonly margin: Float64Array
  /** [N]: log Σ exp over the raised classes minus the same over the others: the log-odds that the row is of a raised class. */
  readonly odds: Float64Array
  /** [N]: the best class among the raised ones, and among the others. */
  readonly raised: Int32Array
  readonly others: Int32Array
}

/**
 * @param logits [N, C], row-major
 * @param isRaised [C]
 */
export function biasRows(logits: ArrayLike<number>, isRaised: readonly boolean[]): BiasRows {
  const classes = isRaised.length
  const rows = logits.length / classes
  if (!Number.isInteger(rows))
    throw new ArgumentError('biasRows', 'logits', `rows of ${classes} classes`, `${logits.length} numbers`)
  if (!isRaised.includes(true) || !isRaised.includes(false))
    throw new ArgumentError('biasRows', 'isRaised', 'some classes raised and some not', isRaised)
  const out: BiasRows = {
    margin: new Float64Array(rows),
    odds: new Float64Array(rows),
    raised: new Int32Array(rows),
    others: new Int32Array(rows),
  }
  for (let row = 0; row < rows; row++) {
    const best = [-1, -1]
    const top = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (let c = 0; c < classes; c++) {
      const side = Number(isRaised[c])
      const z = logits[row * classes + c]!
      if (best[side] === -1 || z > top[side]!) {
        best[side] = c
        top[side] = z
      }
    }
    const sum = [0, 0]
    for (let c = 0; c < classes; c++) {
      const side = Number(isRaised[c])
      sum[side]! += Math.exp(logits[row * classes + c]! - top[side]!)
    }
    out.margin[row] = top[0]! - top[1]!
    out.odds[row] = top[1]! - top[0]! + Math.log(sum[1]! / sum[0]!)
    out.others[row] = best[0]!
    out.raised[row] = best[1]!
  }
  return out
}

/** Errors with `shift` added to the raised classes; `of` counts those of some true classes alone. */
export function errorsAt(
  rows: BiasRows,
  labels: ArrayLike<number>,
  shift: number,
  of: (label: number) => boolean = () => true,
): number {
  let errors = 0
  for (let row = 0; row < rows.margin.length; row++) {
    const predicted = shift > rows.margin[row]! ? rows.raised[row]! : rows.others[row]!
    if (of(labels[row]!) && predicted !== labels[row]!) errors++
  }
  return errors
}

/**
 * The shift with the fewest errors on these labelled rows, exactly: errors change only at margins, so one walk over them in
 * order sees every value. Among equals the middle of the widest stretch. "Optimizes overall performance on the test set" (Hinton et
 * al. 2015, §3), so a bound and no estimate.
 */
export function bestShift(rows: BiasRows, labels: ArrayLike<number>): number {
  const { margin, raised, others } = rows
  const order = [...margin.keys()].sort((a, b) => margin[a]! - margin[b]!)
  // Below every margin all rows are given to the others.
  let errors = order.filter((row) => others[row] !== labels[row]).length
  let best = { errors, width: 0, shift: (margin[order[0]!] ?? 0) - 1 }
  order.forEach((row, i) => {
    errors += Number(raised[row] !== labels[row]) - Number(others[row] !== labels[row])
    const from = margin[row]!
    const to = i + 1 < order.length ? margin[order[i + 1]!]! : from + 2
    const width = to - from
    if (width > 0 && (errors < best.errors || (errors === best.errors && width > best.width)))
      best = { errors, width, shift: (from + to) / 2 }
  })
  return best.shift
}

/**
 * The shift at which the mean probability of the raised classes is `prior`: no label is read. The mean of sigmoid(odds + shift)
 * climbs with the shift, so halving finds it.
 */
export function shiftToPrior(rows: BiasRows, prior: number): number {
  if (!(prior > 0 && prior < 1)) throw new ArgumentError('shiftToPrior', 'prior', 'in (0, 1)', prior)
  const { odds } = rows
  if (odds.length === 0) throw new ArgumentError('shiftToPrior', 'rows', 'at least one row', 0)
  const logit = Math.log(prior / (1 - prior))
  // With every row at its most or least likely, the shift is one of the ends.
  let low = logit - odds.reduce((a, b) => Math.max(a, b))
  let high = logit - odds.reduce((a, b) => Math.min(a, b))
  for (let step = 0; step < 80; step++) {
    const middle = (low + high) / 2
    let sum = 0
    for (const odd of odds) sum += 1 / (1 + Math.exp(-odd - middle))
    if (sum < prior * odds.length) low = middle
    else high = middle
  }
  return (low + high) / 2
}
