import { ArgumentError, type Rng } from '@imago/tensor'
import { builder } from '../builder.js'
import type { Model } from '../ir.js'
import type { Initial } from './initial-weights.js'
import { convolution, type Layers, linear, modelOf } from './layers.js'

export interface LeNet5Options {
  /** Where the initial weights come from; the same state gives the same model. */
  readonly rng: Rng
  /** Default 10. */
  readonly classes?: number
  /** Factor on the number of channels and hidden units (6, 16, 120, 84), each rounded, at least 1. Default 1. */
  readonly width?: number
  /** Default `he`. */
  readonly initial?: Initial
}

/**
 * LeNet-5 (LeCun et al. 1998, §II.B) as it is built today, with Relu and max pooling: `input` [N, 1, 28, 28] → conv 5×5 (padding 2),
 * pool, conv 5×5, pool, 120, 84 → `logits` [N, classes]. Parameters: `conv1.weight`, `conv1.bias`, `conv2.…`, `fc1.…`, `fc2.…`, `fc3.…`.
 * @throws ArgumentError
 */
export function lenet5(options: LeNet5Options): Model {
  const { rng, classes = 10, width = 1, initial = 'he' } = options
  if (!(Number.isSafeInteger(classes) && classes > 0))
    throw new ArgumentError('lenet5', 'classes', 'a whole number > 0', classes)
  if (!(Number.isFinite(width) && width > 0)) throw new ArgumentError('lenet5', 'width', 'a number > 0', width)
  if (typeof rng?.split !== 'function')
    throw new ArgumentError('lenet5', 'rng', 'a generator: rng(seed) of @imago/tensor', rng)
  const wide = (units: number): number => Math.max(1, Math.round(units * width))
  const [c1, c2, f1, f2] = [wide(6), wide(16), wide(120), wide(84)]
  const b = builder()
  const layers: Layers = { b, rng, initial }
  const relu = (x: string, name: string): string =>
    b.op('Relu', [x], {}, { name, outputs: [b.unique(`${name}.output`)] })
  const pool = (x: string, name: string): string =>
    b.op('MaxPool', [x], { kernel_shape: [2, 2], strides: [2, 2] }, { name, outputs: [b.unique(`${name}.output`)] })

  let x = b.input('input', 'float32', ['N', 1, 28, 28])
  x = pool(relu(convolution(layers, x, 'conv1', 1, c1, 5, 2), 'act1'), 'pool1')
  x = pool(relu(convolution(layers, x, 'conv2', c1, c2, 5, 0), 'act2'), 'pool2')
  x = b.op('Flatten', [x], { axis: 1 }, { name: 'flatten', outputs: [b.unique('flatten.output')] })
  x = relu(linear(layers, x, 'fc1', c2 * 25, f1), 'act3')
  x = relu(linear(layers, x, 'fc2', f1, f2), 'act4')
  linear(layers, x, 'fc3', f2, classes, 'logits')
  b.output('logits', 'float32', ['N', classes])
  return modelOf(b.graph(), 'lenet5')
}
