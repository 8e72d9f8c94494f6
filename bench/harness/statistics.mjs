/** The quantile q in [0, 1] of some numbers, linear between neighbours. */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b)
  const at = q * (sorted.length - 1)
  const low = Math.floor(at)
  const high = Math.min(low + 1, sorted.length - 1)
  return sorted[low] + (sorted[high] - sorted[low]) * (at - low)
}

export function median(values) {
  return quantile(values, 0.5)
}

/** What is kept of one contender's rounds. */
export function summary(values) {
  return {
    median: median(values),
    q10: quantile(values, 0.1),
    q90: quantile(values, 0.9),
    rounds: values.length,
  }
}

/** How many times faster ours is: theirs over ours, round by round, since neighbours in time saw the same machine. */
export function speedup(ours, theirs) {
  return summary(theirs.map((value, i) => value / ours[i]))
}

/** How much longer ours takes, round by round. */
export function difference(ours, theirs) {
  return summary(ours.map((value, i) => value - theirs[i]))
}

/** The slope of a straight line through points (x, y), least squares. */
export function slope(points) {
  const n = points.length
  const mx = points.reduce((sum, [x]) => sum + x, 0) / n
  const my = points.reduce((sum, [, y]) => sum + y, 0) / n
  const xx = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0)
  return points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / xx
}
