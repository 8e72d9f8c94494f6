import { nearestNeighbors } from '@imago/kernels'
import { tensor } from '@imago/tensor'
import { readNumbers, writeNumbers } from '../harness/numbers.mjs'

/** For each row of a table of numbers in [0, 1] the nearest other row; rows evenly spread, or in 100 clusters as tables are. */
export const title = 'nearest neighbours'

export const cases = [
  { rows: 4000, columns: 16, clusters: 0 },
  { rows: 20_000, columns: 54, clusters: 0 },
  { rows: 20_000, columns: 54, clusters: 100 },
].map((settings) => {
  const { rows, columns, clusters } = settings
  return {
    name: `${rows.toLocaleString('en')} × ${columns}${clusters > 0 ? `, ${clusters} clusters` : ''}`,
    ...settings,
  }
})

/** torch.cdist of 1,000 rows at a time, then the least: by a matrix product (`mm`, its default), or exactly (`exact`). */
export const variants = ['mm', 'exact']
export const comparisons = [
  { of: 'imago', than: 'torch mm' },
  { of: 'imago', than: 'torch exact' },
]
export const threads = [1]

export function write({ rows, columns, clusters }, folder) {
  let state = 7
  const uniform = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  const centres = Float32Array.from({ length: clusters * columns }, uniform)
  const x = new Float32Array(rows * columns)
  for (let r = 0; r < rows; r++) {
    const centre = Math.floor(uniform() * clusters) * columns
    for (let c = 0; c < columns; c++)
      x[r * columns + c] = clusters === 0 ? uniform() : 0.7 * centres[centre + c] + 0.3 * uniform()
  }
  writeNumbers(folder, 'x', x)
}

export function prepare({ rows, columns }, folder) {
  const x = tensor('float32', [rows, columns], readNumbers(folder, 'x'))
  const distances = () => Float32Array.from(nearestNeighbors({ x }).squaredDistances.data)
  const value = () => distances().reduce((sum, d) => sum + d, 0) / rows
  return {
    check: () => ({ value: value(), tensors: { squaredDistances: distances() } }),
    run(iterations) {
      for (let i = 0; i < iterations; i++) nearestNeighbors({ x })
    },
    outcome: value,
  }
}
