import { type Builder, builder, encode, type Graph, type Model, type Shape } from '@imago/onnx'
import { tensor } from '@imago/tensor'

/** A model around what `write` builds. */
export function modelOf(write: (b: Builder) => void, opsets: [string, number][] = []): Model {
  const b = builder()
  write(b)
  return around(b.graph(), opsets)
}

export function around(graph: Graph, opsets: [string, number][] = []): Model {
  const versions = new Map<string, number>([['', 17], ...opsets])
  return { irVersion: 8, opsets: versions, producer: 'test', graph, metadata: new Map(), functions: [] }
}

/** Weights W [3, 4] and bias [3] of the one layer that the classifiers of these tests share. */
export const weights = Float32Array.of(0.5, -1, 0.25, 2, -0.75, 1.5, 1, -0.5, 0.125, 0.25, -2, 1)
export const bias = Float32Array.of(0.5, -0.25, 1)

/** z = x·Wᵀ + b in float64, for rows of four numbers. */
export function scores(x: ArrayLike<number>): number[][] {
  return Array.from({ length: x.length / 4 }, (_, n) =>
    Array.from({ length: 3 }, (_, c) => {
      let sum = bias[c]!
      for (let i = 0; i < 4; i++) sum += x[4 * n + i]! * weights[4 * c + i]!
      return sum
    }),
  )
}

/** Write `z` [N, 3] from `input` of the given shape. */
export function linear(b: Builder, shape: Shape = ['N', 4]): string {
  const x = b.input('input', 'float32', shape)
  const flat = shape.length === 2 ? x : b.op('Flatten', [x])
  const w = b.initializer('w', tensor('float32', [3, 4], weights))
  const bb = b.initializer('b', tensor('float32', [3], bias))
  return b.op('Gemm', [flat, w, bb], { transB: 1 }, { outputs: ['z'] })
}

export function rows(count: number): Float32Array {
  return Float32Array.from({ length: 4 * count }, (_, i) => Math.sin(1 + i * 1.7) * 2)
}

export function bytesOf(model: Model): Uint8Array {
  return encode(model)
}
