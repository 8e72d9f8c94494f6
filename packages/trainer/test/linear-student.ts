import { dropoutMask } from '@imago/kernels'
import type { Differentiable } from '@imago/runtime'
import { type Rng, type Tensor, type TensorMap, tensor, tensorMap, zeros } from '@imago/tensor'
import type { TrainableStudent } from '../src/index.js'

export interface LinearOptions {
  readonly inputs: number
  readonly classes: number
  readonly rng: Rng
  /** Standard deviation of the first weights; default 0. */
  readonly scale?: number
  /** Dropout on the inputs; default 0. */
  readonly dropout?: number
}

/**
 * logits = (x∘mask)·W + b, and a running mean of x, as a second engine behind `Differentiable`: plain loops whose gradients are
 * closed forms (dW = xᵀ·d, db = Σ d). What the trainer does can be judged without ONNX Runtime.
 */
export function linearStudent(options: LinearOptions): TrainableStudent {
  const { inputs: D, classes: C, rng, scale = 0, dropout = 0 } = options
  const weight = tensor(
    'float32',
    [D, C],
    Float32Array.from({ length: D * C }, () => scale * rng.normal()),
  )
  const parameters = tensorMap([
    ['weight', weight],
    ['bias', zeros('float32', [C])],
    ['mean', zeros('float32', [D])],
  ])
  const differentiable: Differentiable = {
    parameters: { weight: [D, C], bias: [C] },
    async forward(given, { x }, { train = true, rng: masks } = {}) {
      const N = x!.dims[0]!
      const mask = zeros('float32', [N, D])
      if (train && dropout > 0) dropoutMask({ rng: masks!, probability: dropout, out: mask })
      else mask.data.fill(1)
      const seen = (x!.data as Float32Array).map((value, i) => value * mask.data[i]!)
      const logits = zeros('float32', [N, C])
      const [w, b] = [floats(given.weight!), floats(given.bias!)]
      for (let n = 0; n < N; n++)
        for (let c = 0; c < C; c++) {
          let sum = b[c]!
          for (let d = 0; d < D; d++) sum += seen[n * D + d]! * w[d * C + c]!
          logits.data[n * C + c] = sum
        }
      return {
        outputs: tensorMap([['logits', logits]]),
        updates: tensorMap(train ? [['mean', running(floats(given.mean!), x!)]] : []),
        async pullback(cotangents): Promise<TensorMap> {
          const d = floats(cotangents.logits!)
          const gradients = { weight: zeros('float32', [D, C]), bias: zeros('float32', [C]) }
          for (let n = 0; n < N; n++)
            for (let c = 0; c < C; c++) {
              gradients.bias.data[c]! += d[n * C + c]!
              for (let k = 0; k < D; k++) gradients.weight.data[k * C + c]! += seen[n * D + k]! * d[n * C + c]!
            }
          return gradients
        },
      }
    },
    dispose: async () => {},
  }
  return { parameters, differentiable }
}

function running(mean: Float32Array, x: Tensor): Tensor {
  const data = floats(x)
  const N = x.dims[0]!
  const fresh = mean.map((value, d) => {
    let sum = 0
    for (let n = 0; n < N; n++) sum += data[n * mean.length + d]!
    return 0.9 * value + (0.1 * sum) / N
  })
  return tensor('float32', [mean.length], fresh)
}

export function floats(value: Tensor): Float32Array {
  return value.data as Float32Array
}
