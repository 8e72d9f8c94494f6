import { readFileSync } from 'node:fs'
import { type TensorMap, tensor, tensorMap } from '@imago/tensor'
import { adamw, cosine, hinton2012, type Optimizer, type Progress, sgd } from '../src/index.js'

type Numbers = { readonly [parameter: string]: readonly number[] }

interface Golden {
  readonly dims: Numbers
  readonly start: Numbers
  readonly gradients: readonly Numbers[]
  readonly cases: {
    readonly [name: string]: { readonly norms?: number[]; readonly rates?: number[]; readonly parameters: Numbers }
  }
}

export const golden: Golden = JSON.parse(readFileSync(new URL('golden/optimizers.json', import.meta.url), 'utf8'))

/** Every optimizer in each of its ways, under the names of the goldens; one matrix of tests walks over it. */
export const optimizers: { readonly [name: string]: () => Optimizer } = {
  sgd: () => sgd({ rate: 0.1 }),
  'sgd momentum': () => sgd({ rate: 0.05, momentum: 0.9 }),
  'sgd decay': () => sgd({ rate: 0.05, momentum: 0.9, weightDecay: 0.1, decayBiases: true }),
  'sgd decay of matrices': () => sgd({ rate: 0.05, momentum: 0.9, weightDecay: 0.1 }),
  'sgd clip': () => sgd({ rate: 0.1, momentum: 0.5, clip: 2 }),
  'sgd max-norm': () => sgd({ rate: 0.1, momentum: 0.5, maxSquaredNorm: { limit: 1.5, units } }),
  adamw: () => adamw({ rate: 0.01, weightDecay: 0.1, decayBiases: true }),
  'adamw of matrices': () => adamw({ rate: 0.02, weightDecay: 0.2, beta1: 0.8, beta2: 0.95, epsilon: 1e-6 }),
  'adamw cosine clip': () => adamw({ rate: cosine({ peak: 0.03, floor: 0.003 }), clip: 1 }),
  'adamw max-norm': () => adamw({ rate: 0.05, maxSquaredNorm: { limit: 1.5, units } }),
  hinton2012: () =>
    hinton2012({
      rate: 0.3,
      decay: 0.9,
      momentum: { from: 0.5, to: 0.9, epochs: 2 },
      maxSquaredNorm: { limit: 1.5, units },
    }),
}

const units = { w1: 'rows', w2: 'columns' } as const

/** Two steps an epoch, three epochs: the six steps of the goldens. */
export function progress(step: number): Progress {
  return { step, epoch: Math.floor(step / 2), stepsPerEpoch: 2, epochs: 3 }
}

export function float32Map(numbers: Numbers, dims: Numbers = golden.dims): TensorMap {
  return tensorMap(
    Object.keys(numbers).map((name) => [name, tensor('float32', dims[name]!, Float32Array.from(numbers[name]!))]),
  )
}
