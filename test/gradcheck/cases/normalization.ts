import { float, type Shape } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import type { GradcheckCase } from '../case.js'

const row = (type: 'float32' | 'float64', values: readonly number[]) =>
  type === 'float64'
    ? tensor(type, [values.length], Float64Array.from(values))
    : tensor(type, [values.length], Float32Array.from(values))

function batchNorm(shape: Shape, training: boolean, sizes: readonly number[] = [1, 2, 5]): GradcheckCase {
  return {
    ops: ['BatchNormalization'],
    title: `${training ? 'batch statistics' : 'frozen'}, [${shape.join(', ')}]`,
    inputs: { x: shape, gamma: [3], beta: [3] },
    values: { gamma: 'positive' },
    sizes,
    build: (b, type) => {
      const mean = b.initializer('mean', row(type, [0.1, -0.2, 0.3]))
      const variance = b.initializer('variance', row(type, [0.5, 1, 1.5]))
      const from = ['x', 'gamma', 'beta', mean, variance]
      if (!training) return b.op('BatchNormalization', from, { epsilon: float(1e-3) })
      const attributes = { epsilon: float(1e-3), training_mode: 1, momentum: float(0) }
      return b.ops('BatchNormalization', from, attributes, { outputs: 3 })[0]!
    },
  }
}

function layerNorm(axis: number, rest: Shape, bias: boolean): GradcheckCase {
  return {
    ops: ['LayerNormalization'],
    title: `axis ${axis}${bias ? '' : ', no bias'}`,
    inputs: { x: ['N', 3, 4], gamma: rest, ...(bias && { beta: rest }) },
    build: (b) =>
      b.op('LayerNormalization', bias ? ['x', 'gamma', 'beta'] : ['x', 'gamma'], { axis, epsilon: float(1e-3) }),
  }
}

export const normalization: readonly GradcheckCase[] = [
  ...[true, false].flatMap((training) => [
    batchNorm(['N', 3, 2, 4], training),
    batchNorm(['N', 3, 5], training),
    // A batch of one leaves no variance to normalize by.
    batchNorm(['N', 3], training, training ? [2, 5] : [1, 2, 5]),
    batchNorm(['N', 3, 2, 2, 2], training),
  ]),
  layerNorm(-1, [4], true),
  layerNorm(2, [4], false),
  layerNorm(1, [3, 4], true),
  {
    ops: ['LayerNormalization'],
    title: 'all three outputs',
    inputs: { x: ['N', 3, 4], gamma: [4] },
    reference: (b, type) => {
      const mean = b.op('ReduceMean', ['x'], { axes: [-1] })
      const centred = b.op('Sub', ['x', mean])
      const variance = b.op('ReduceMean', [b.op('Mul', [centred, centred])], { axes: [-1] })
      const r = b.op('Reciprocal', [b.op('Sqrt', [b.op('Add', [variance, b.scalar(0.125, type)])])])
      return [b.op('Mul', [b.op('Mul', [centred, r]), 'gamma']), mean, r]
    },
    build: (b) => b.ops('LayerNormalization', ['x', 'gamma'], { epsilon: float(0.125) }, { outputs: 3 }),
  },
  {
    ops: ['BatchNormalization'],
    title: 'frozen, statistics trained',
    inputs: { x: ['N', 3, 2], gamma: [3], beta: [3], mean: [3], variance: [3] },
    values: { variance: 'positive' },
    build: (b) => b.op('BatchNormalization', ['x', 'gamma', 'beta', 'mean', 'variance'], { epsilon: float(0.125) }),
  },
  {
    ops: ['BatchNormalization'],
    title: 'batch statistics, the running ones put out and trained',
    inputs: { x: ['N', 3, 2], gamma: [3], beta: [3], mean: [3], variance: [3] },
    values: { variance: 'positive' },
    build: (b) =>
      b.ops(
        'BatchNormalization',
        ['x', 'gamma', 'beta', 'mean', 'variance'],
        { epsilon: float(0.125), training_mode: 1, momentum: float(0.75) },
        { outputs: 3 },
      ),
  },
  {
    ops: ['MeanVarianceNormalization'],
    title: 'all but the channels',
    inputs: { x: ['N', 3, 2, 4] },
    reference: (b, type) => {
      const mean = (value: string): string => b.op('ReduceMean', [value], { axes: [0, 2, 3] })
      const centred = b.op('Sub', ['x', mean('x')])
      const deviation = b.op('Sqrt', [mean(b.op('Mul', [centred, centred]))])
      return b.op('Div', [centred, b.op('Add', [deviation, b.scalar(1e-9, type)])])
    },
    build: (b) => b.op('MeanVarianceNormalization', ['x']),
  },
  {
    ops: ['Dropout'],
    title: 'passes everything at inference',
    inputs: { x: ['N', 3] },
    build: (b) => b.op('Dropout', ['x']),
  },
]
