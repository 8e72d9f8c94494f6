import { adamw } from '@imago/kernels'
import { tensor } from '@imago/tensor'
import { noise, readNumbers, writeNumbers } from '../harness/numbers.mjs'

/** One step of AdamW on 1.3 million weights. */
export const title = 'AdamW, weight decay 0.01'

export const cases = [{ name: '1.3M', n: 1_280_000, rate: 1e-3, weightDecay: 0.01 }]

/** torch.optim.AdamW by foreach and fused; the step written out and compiled by torch.compile. */
export const variants = ['foreach', 'fused', 'compile']
export const comparisons = [
  { of: 'imago', than: 'torch foreach' },
  { of: 'imago', than: 'torch fused' },
  { of: 'imago', than: 'torch compile' },
]
export const compiled = ['compile']
export const threads = [1]

export function write({ n }, folder) {
  writeNumbers(folder, 'weight', noise(1, n, 0.08))
  writeNumbers(folder, 'gradient', noise(2, n, 1e-2))
}

export function prepare({ n, rate, weightDecay }, folder) {
  const vector = (data) => tensor('float32', [n], data)
  const parameter = vector(readNumbers(folder, 'weight'))
  const moments = { m: vector(new Float32Array(n)), v: vector(new Float32Array(n)) }
  const options = { parameter, gradient: vector(readNumbers(folder, 'gradient')), ...moments, rate, weightDecay }
  let done = 0
  const run = (iterations) => {
    for (let i = 0; i < iterations; i++) adamw({ ...options, step: ++done })
  }
  return {
    check() {
      run(3)
      return { value: parameter.data[0], tensors: { weight: parameter.data } }
    },
    run,
    outcome: () => parameter.data.reduce((sum, x) => sum + x, 0),
  }
}
