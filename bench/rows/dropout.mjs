import { dropoutMask } from '@imago/kernels'
import { rng, tensor } from '@imago/tensor'

/** Dropout as it is fed to a student: the mask of 0 and 1/(1 − p), anew for every step. */
export const title = 'dropout, forward (imago: the mask; the graph multiplies)'

export const cases = [
  [102_400, 0.5],
  [102_400, 0.2],
  [1_048_576, 0.5],
  [1_048_576, 0.2],
].map(([n, probability]) => ({
  name: `${n === 102_400 ? '102k' : '1M'}, p = ${probability}`,
  n,
  probability,
  asked: [{ of: 'imago', than: 'torch eager', atLeast: 15 }],
}))

/** torch.nn.functional.dropout of a tensor in training. */
export const variants = ['eager']
export const comparisons = [{ of: 'imago', than: 'torch eager' }]
export const threads = [1]
/** Each has its own random numbers: the mean of what is made of ones, which is 1 but for a few thousandths. */
export const tolerance = 0.02

export function write() {}

export function prepare({ n, probability }) {
  const out = tensor('float32', [n], new Float32Array(n))
  const options = { out, probability, rng: rng(1) }
  const mean = () => dropoutMask(options).data.reduce((sum, x) => sum + x, 0) / n
  return {
    check: () => ({ value: mean(), tensors: {} }),
    run(iterations) {
      for (let i = 0; i < iterations; i++) dropoutMask(options)
    },
    outcome: mean,
  }
}
