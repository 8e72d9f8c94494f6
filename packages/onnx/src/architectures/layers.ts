import { type Rng, tensor, zeros } from '@imago/tensor'
import { float } from '../attributes.js'
import type { Builder } from '../builder.js'
import type { Graph, Model } from '../ir.js'
import { type Initial, initialWeights } from './initial-weights.js'

/** What the layers of an architecture share. */
export interface Layers {
  readonly b: Builder
  readonly rng: Rng
  readonly initial: Initial
}

/** y [N, out] = x [N, in] · weightᵀ + bias, weight [out, in] as PyTorch has it. */
export function linear(
  layers: Layers,
  x: string,
  name: string,
  inputs: number,
  outputs: number,
  result?: string,
): string {
  const { b, initial, rng } = layers
  const random = rng.split(`${name}.weight`)
  const weight = b.initializer(`${name}.weight`, initialWeights([outputs, inputs], inputs, outputs, initial, random))
  const bias = b.initializer(`${name}.bias`, zeros('float32', [outputs]))
  const options = { name, outputs: [result ?? b.unique(`${name}.output`)] }
  return b.op('Gemm', [x, weight, bias], { transB: 1, alpha: float(1), beta: float(1) }, options)
}

/** Filters [out, in, size, size] over x [N, in, H, W]. */
export function convolution(
  layers: Layers,
  x: string,
  name: string,
  inputs: number,
  outputs: number,
  size: number,
  padding: number,
): string {
  const { b, initial, rng } = layers
  const area = size * size
  const values = initialWeights(
    [outputs, inputs, size, size],
    inputs * area,
    outputs * area,
    initial,
    rng.split(`${name}.weight`),
  )
  const weight = b.initializer(`${name}.weight`, values)
  const bias = b.initializer(`${name}.bias`, zeros('float32', [outputs]))
  const attributes = { kernel_shape: [size, size], pads: [padding, padding, padding, padding], strides: [1, 1] }
  return b.op('Conv', [x, weight, bias], attributes, { name, outputs: [b.unique(`${name}.output`)] })
}

/** A Dropout node that does nothing at inference; training gives it its mask. */
export function dropout(layers: Layers, x: string, name: string, probability: number): string {
  const { b } = layers
  const ratio = b.initializer(`${name}.ratio`, tensor('float32', [], Float32Array.of(probability)))
  const training = b.initializer(`${name}.training`, tensor('bool', [], Uint8Array.of(0)))
  return b.op('Dropout', [x, ratio, training], {}, { name, outputs: [b.unique(`${name}.output`)] })
}

/** A graph as a model of the opset that imago writes. */
export function modelOf(graph: Graph, name: string): Model {
  return {
    irVersion: 8,
    opsets: new Map([['', 17]]),
    producer: 'imago',
    graph: { ...graph, name },
    metadata: new Map(),
    functions: [],
  }
}
