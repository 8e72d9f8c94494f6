import { sgd } from '@imago/kernels'
import { tensor } from '@imago/tensor'
import { noise, readNumbers, writeNumbers } from '../harness/numbers.mjs'

/** One step of SGD with momentum and weight decay on a matrix of 1.3 million weights; with the max-norm of its rows in the same pass. */
export const title = 'SGD with momentum 0.9 and weight decay 1e-4'

const common = { rows: 800, columns: 1600, rate: 1e-3, momentum: 0.9, weightDecay: 1e-4 }
export const cases = [
  { name: '1.3M', ...common, without: ['torch renorm'] },
  { name: '1.3M, max-norm', ...common, maxSquaredNorm: 15, asked: [{ of: 'imago', than: 'torch', atLeast: 1.7 }] },
]

/**
 * torch.optim.SGD by foreach and fused, the norm held by norm and mul; fused and torch.renorm; compiled by torch.compile, as far as
 * it goes (see the peer).
 */
export const variants = ['foreach', 'fused', 'renorm', 'compile']
export const comparisons = [
  { of: 'imago', than: 'torch foreach' },
  { of: 'imago', than: 'torch fused' },
  { of: 'imago', than: 'torch renorm' },
  { of: 'imago', than: 'torch compile' },
  { of: 'imago', than: 'torch' },
]
export const compiled = ['compile']
export const threads = [1]

export function write({ rows, columns }, folder) {
  const n = rows * columns
  // Every other row is longer than the limit.
  const weight = noise(1, n, 0.08)
  for (let row = 0; row < rows; row += 2) for (let i = row * columns; i < (row + 1) * columns; i++) weight[i] *= 1.5
  writeNumbers(folder, 'weight', weight)
  writeNumbers(folder, 'gradient', noise(2, n, 1e-2))
}

export function prepare({ rows, columns, rate, momentum, weightDecay, maxSquaredNorm }, folder) {
  const dims = [rows, columns]
  const parameter = tensor('float32', dims, readNumbers(folder, 'weight'))
  const gradient = tensor('float32', dims, readNumbers(folder, 'gradient'))
  const velocity = tensor('float32', dims, new Float32Array(rows * columns))
  const options = { parameter, gradient, velocity, rate, momentum, weightDecay, maxSquaredNorm, units: 'rows' }
  return {
    /** Three steps: the velocity takes part. */
    check() {
      for (let i = 0; i < 3; i++) sgd(options)
      return { value: parameter.data[0], tensors: { weight: parameter.data } }
    },
    run(iterations) {
      for (let i = 0; i < iterations; i++) sgd(options)
    },
    outcome: () => parameter.data.reduce((sum, x) => sum + x, 0),
  }
}
