import { ArgumentError, type Rng } from '@imago/tensor'
import { float } from '../attributes.js'
import { builder } from '../builder.js'
import type { Model } from '../ir.js'
import { initialWeights } from './initial-weights.js'
import { type Layers, linear, modelOf } from './layers.js'

export interface ShallowOptions {
  readonly inputs: number
  /** Linear units between the inputs and the hidden layer; 0: none, the hidden layer reads the inputs. */
  readonly bottleneck: number
  /** Units of the one layer that is not linear. */
  readonly hidden: number
  readonly classes: number
  /** Where the initial weights come from; the same state gives the same model. */
  readonly rng: Rng
}

/**
 * A wide net of one hidden layer whose weights are a product of two matrices (Ba & Caruana 2014, §2.3): `input` [N, inputs] →
 * x·Vᵀ, linear and without biases → Relu(·Uᵀ + b) → `logits` [N, classes]. The product has inputs·k + k·hidden weights in place of
 * inputs·hidden, and is learned faster. Parameters: `bottleneck.weight` [k, inputs], `fc1.weight` [hidden, k], `fc1.bias`, `fc2.weight`, `fc2.bias`.
 *
 * @throws ArgumentError
 */
export function shallow(options: ShallowOptions): Model {
  const { inputs, bottleneck, hidden, classes, rng } = options
  for (const [name, value] of Object.entries({ inputs, hidden, classes }))
    if (!(Number.isSafeInteger(value) && value > 0))
      throw new ArgumentError('shallow', name, 'a whole number > 0', value)
  if (!(Number.isSafeInteger(bottleneck) && bottleneck >= 0))
    throw new ArgumentError('shallow', 'bottleneck', 'a whole number ≥ 0', bottleneck)
  if (typeof rng?.split !== 'function')
    throw new ArgumentError('shallow', 'rng', 'a generator: rng(seed) of @imago/tensor', rng)
  const b = builder()
  const layers: Layers = { b, rng, initial: 'he' }
  let x = b.input('input', 'float32', ['N', inputs])
  if (bottleneck > 0) {
    // Linear: variance is kept, not doubled as before a Relu.
    const values = initialWeights(
      [bottleneck, inputs],
      inputs,
      bottleneck,
      { normal: Math.sqrt(1 / inputs) },
      rng.split('bottleneck.weight'),
    )
    const weight = b.initializer('bottleneck.weight', values)
    const names = { name: 'bottleneck', outputs: [b.unique('bottleneck.output')] }
    x = b.op('Gemm', [x, weight], { transB: 1, alpha: float(1), beta: float(1) }, names)
  }
  x = linear(layers, x, 'fc1', bottleneck || inputs, hidden)
  x = b.op('Relu', [x], {}, { name: 'act1', outputs: [b.unique('act1.output')] })
  linear(layers, x, 'fc2', hidden, classes, 'logits')
  b.output('logits', 'float32', ['N', classes])
  return modelOf(b.graph(), 'shallow')
}
