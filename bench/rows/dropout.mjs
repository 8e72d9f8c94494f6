import { dropout, dropoutMask } from '@imago/kernels'
import { rng, tensor } from '@imago/tensor'

/** Dropout in one pass, into memory that is there. */
export const title = 'dropout, forward'

export const cases = [
  [102_400, 0.5],
  [102_400, 0.2],
  [1_048_576, 0.5],
  [1_048_576, 0.2],
].map(([n, probability]) => ({
  name: `${n === 102_400 ? '102k' : '1M'}, p = ${probability}`,
  n,
  probability,
  asked: [{ of: 'imago', than: 'torch', atLeast: 15 }],
}))

/** torch.nn.functional.dropout of a tensor in training, and under torch.compile. */
export const variants = ['eager', 'compile']
export const compiled = ['compile']
/** `mask`: what a student's graph is fed, and multiplies with. */
export const ways = ['mask']
export const comparisons = [
  { of: 'imago', than: 'torch eager' },
  { of: 'imago', than: 'torch compile' },
  { of: 'imago', than: 'torch' },
  { of: 'imago mask', than: 'torch' },
]
export const threads = [1]
/** Each has its own random numbers: the mean of what is made of ones, which is 1 but for a few thousandths. */
export const tolerance = 0.02

export function write() {}

export function prepare({ n, probability }, _folder, { variant }) {
  const x = tensor('float32', [n], new Float32Array(n).fill(1))
  const out = tensor('float32', [n], new Float32Array(n))
  const options = { out, probability, rng: rng(1) }
  const step = variant === 'mask' ? () => dropoutMask(options) : () => dropout({ ...options, x })
  const mean = () => step().data.reduce((sum, value) => sum + value, 0) / n
  return {
    check: () => ({ value: mean(), tensors: {} }),
    run(iterations) {
      for (let i = 0; i < iterations; i++) step()
    },
    outcome: mean,
  }
}
