import type { KernelOf } from '../signatures.js'

const largest = 2 ** 48
/** What float32 calls subnormal counts as 0. */
const flushed = (value: number): number => (Math.abs(value) < 2 ** -126 ? 0 : value)

/** The nearest other row of each row: squared differences of numbers, and one for each code that differs. */
export const nearestNeighbors: KernelOf<'nearest_neighbors'> = (
  [x, codes, neighbors, squaredDistances],
  [rows, continuous, nominal],
) => {
  if (rows < 2) throw new RangeError('nearest_neighbors: rows must be in [2, 2^31)')
  if (continuous + nominal === 0) throw new RangeError('nearest_neighbors: there must be at least one attribute')
  for (let i = 0; i < rows * continuous; i++)
    if (!(Math.abs(x![i]!) <= largest)) throw new RangeError(refusal(x![i]!, Math.floor(i / continuous)))
  for (let i = 0; i < rows; i++) {
    let best = Number.POSITIVE_INFINITY
    for (let j = 0; j < rows; j++) {
      const distance = j === i ? Number.POSITIVE_INFINITY : squaredDistance(i, j)
      if (distance >= best) continue
      best = distance
      neighbors[i] = j
    }
    if (squaredDistances) squaredDistances[i] = best
  }

  function squaredDistance(i: number, j: number): number {
    let sum = 0
    for (let c = 0; c < continuous; c++) {
      const difference = flushed(x![i * continuous + c]!) - flushed(x![j * continuous + c]!)
      sum += difference * difference
    }
    for (let m = 0; m < nominal; m++) sum += codes![i * nominal + m] === codes![j * nominal + m] ? 0 : 1
    return sum
  }
}

function refusal(value: number, row: number): string {
  const beyond = Number.isFinite(value) ? ' is beyond 2^48' : ''
  return `nearest_neighbors: x: ${value}${beyond} in row ${row}`
}
