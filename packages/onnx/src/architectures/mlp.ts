import { ArgumentError, type Rng } from '@imago/tensor'
import { builder } from '../builder.js'
import type { Model } from '../ir.js'
import type { Initial } from './initial-weights.js'
import { dropout, type Layers, linear, modelOf } from './layers.js'

export interface MlpOptions {
  /** Where the initial weights come from; the same state gives the same model. Layers draw from generators split by name. */
  readonly rng: Rng
  /** Probabilities to drop an input and a hidden unit, each in [0, 1). Default: no Dropout nodes. */
  readonly dropout?: { readonly input?: number; readonly hidden?: number }
  /** The elementwise op behind each hidden layer. Default Relu. */
  readonly activation?: Activation
  /** Default `he` for Relu-like activations, `glorot` for Sigmoid, Tanh and Softsign. */
  readonly initial?: Initial
}

export type Activation =
  | 'Relu'
  | 'LeakyRelu'
  | 'Elu'
  | 'Selu'
  | 'Softplus'
  | 'HardSwish'
  | 'Sigmoid'
  | 'Tanh'
  | 'Softsign'

const saturating = ['Sigmoid', 'Tanh', 'Softsign']
const activations = ['Relu', 'LeakyRelu', 'Elu', 'Selu', 'Softplus', 'HardSwish', ...saturating]

/**
 * A multilayer perceptron: `input` [N, sizes[0]] → `logits` [N, last size], N the symbolic batch. Parameters are `fc1.weight`
 * [out, in], `fc1.bias` [out], `fc2.weight`, ….
 *
 * @example mlp([784, 800, 800, 10], { rng: rng(1), dropout: { input: 0.2, hidden: 0.5 } })
 * @throws ArgumentError
 */
export function mlp(sizes: readonly number[], options: MlpOptions): Model {
  const { activation = 'Relu', rng } = options
  const { input = 0, hidden = 0 } = options.dropout ?? {}
  guard(sizes, { input, hidden }, activation, rng)
  const b = builder()
  const initial = options.initial ?? (saturating.includes(activation) ? 'glorot' : 'he')
  const layers: Layers = { b, rng, initial }
  let x = b.input('input', 'float32', ['N', sizes[0]!])
  if (input > 0) x = dropout(layers, x, 'dropout0', input)
  const last = sizes.length - 1
  for (let i = 1; i < last; i++) {
    x = linear(layers, x, `fc${i}`, sizes[i - 1]!, sizes[i]!)
    x = b.op(activation, [x], {}, { name: `act${i}`, outputs: [b.unique(`act${i}.output`)] })
    if (hidden > 0) x = dropout(layers, x, `dropout${i}`, hidden)
  }
  linear(layers, x, `fc${last}`, sizes[last - 1]!, sizes[last]!, 'logits')
  b.output('logits', 'float32', ['N', sizes[last]!])
  return modelOf(b.graph(), 'mlp')
}

function guard(
  sizes: readonly number[],
  probabilities: { readonly [name: string]: number },
  activation: string,
  rng: Rng,
): void {
  if (!Array.isArray(sizes) || sizes.length < 2 || !sizes.every((size) => Number.isSafeInteger(size) && size > 0))
    throw new ArgumentError('mlp', 'sizes', 'two or more whole numbers > 0', sizes)
  for (const [name, value] of Object.entries(probabilities))
    if (!(value >= 0 && value < 1)) throw new ArgumentError('mlp', `dropout.${name}`, 'a number in [0, 1)', value)
  if (!activations.includes(activation))
    throw new ArgumentError('mlp', 'activation', `one of ${activations.join(', ')}`, activation)
  if (typeof rng?.split !== 'function')
    throw new ArgumentError('mlp', 'rng', 'a generator: rng(seed) of @imago/tensor', rng)
}
