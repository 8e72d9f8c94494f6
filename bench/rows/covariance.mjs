import { covariance, softmax } from '@imago/kernels'
import { tensor } from '@imago/tensor'
import { noise, readNumbers, writeNumbers } from '../harness/numbers.mjs'

/** Mean and co-moments of a generalist's predictions, in float64: one batch from nothing. */
export const title = 'covariance of predictions'

const asked = [{ of: 'imago', than: 'torch float32', atLeast: 0.8 }]
export const cases = [
  { rows: 4096, classes: 1000, asked },
  { rows: 4096, classes: 100 },
].map((settings) => ({
  name: `${settings.rows.toLocaleString('en')} × ${settings.classes.toLocaleString('en')}`,
  ...settings,
}))

/** PᵀP as torch.matmul has it, from float32 (`float32`) and from float64. */
export const variants = ['float32', 'float64']
export const comparisons = [
  { of: 'imago', than: 'torch float32' },
  { of: 'imago', than: 'torch float64' },
]

export function write({ rows, classes }, folder) {
  const logits = tensor('float32', [rows, classes], noise(3, rows * classes, 2))
  writeNumbers(folder, 'p', softmax({ logits }).data)
}

export function prepare({ rows, classes: C }, folder) {
  const x = tensor('float32', [rows, C], readNumbers(folder, 'p'))
  /** PᵀP of the moments: M + N·μμᵀ. */
  const product = () => {
    const { mean, comoment } = covariance({ x })
    const out = new Float32Array(C * C)
    for (let i = 0; i < C; i++)
      for (let j = i; j < C; j++)
        out[i * C + j] = out[j * C + i] = comoment.data[i * C + j] + rows * mean.data[i] * mean.data[j]
    return out
  }
  const trace = () => product().reduce((sum, value, i) => (i % (C + 1) === 0 ? sum + value : sum), 0)
  return {
    check: () => ({ value: trace(), tensors: { product: product() } }),
    run(iterations) {
      for (let i = 0; i < iterations; i++) covariance({ x })
    },
    outcome: trace,
  }
}
