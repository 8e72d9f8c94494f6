import type { KernelOf } from '../signatures.js'
import { crossEntropyRow, onehot } from './cross-entropy-row.js'
import { eachRow, rowCounts } from './rows.js'

/** value = Σ w·(−Σ t·log softmax(z)) / Σ w with t = (1−ε)·target + ε/C, the target onehot(y) or the row's distribution; and dvalue/dz. */
export const crossEntropy: KernelOf<'cross_entropy'> = (
  [student, labels, rowWeights, gradient, result, distribution, classMask],
  [rows, classes, smoothing, ignoreIndex],
) => {
  if ((labels === null) === (distribution === null)) throw new Error('needs labels or distribution, one of them')
  const inputs = { student, labels, ignoreIndex, rowWeights, classMask }
  if (distribution !== null) checkDistribution(distribution, classes, rowCounts(rows, rowWeights, null, 0), classMask)
  let value = 0
  eachRow({ rows, classes, ...inputs, gradient, expect: 'softmax' }, ({ share, z, label, gradient: slope, of }) => {
    if (distribution === null && label === -1) return
    const target = distribution === null ? onehot(z.length, label) : Float64Array.from(of(distribution))
    const smoothed = target.map((t) => (1 - smoothing) * t + smoothing / z.length)
    value += share * crossEntropyRow(z, smoothed, slope)
  })
  result[0] = value
}

/** Refuse what is no distribution, in rows that count. */
function checkDistribution(
  distribution: Float32Array,
  classes: number,
  counts: Float64Array,
  mask: Uint8Array | null,
): void {
  for (let r = 0; r < counts.length; r++) {
    if (counts[r] === 0) continue
    let sum = 0
    for (let c = 0; c < classes; c++) {
      if (mask?.[c] === 0) continue
      const t = distribution[r * classes + c]!
      if (!(t >= 0 && t < Number.POSITIVE_INFINITY)) throw new Error(`distribution: ${t} in row ${r}`)
      sum += t
    }
    if (!(Math.abs(sum - 1) <= 1e-3)) throw new Error(`distribution: ${sum} as the sum in row ${r}`)
  }
}
