import type { Shape } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import type { GradcheckCase, Values } from '../case.js'

const pairs: readonly (readonly [Shape, Shape])[] = [
  [
    ['N', 3],
    ['N', 3],
  ],
  [['N', 3], [3]],
  [[3], ['N', 3]],
  [['N', 3], []],
  [[], ['N', 3]],
  [
    ['N', 1, 4],
    [3, 1],
  ],
  [
    [1, 4],
    ['N', 4],
  ],
  [
    ['N', 4, 2, 2],
    [4, 1, 1],
  ],
]

function binary(op: string, values: Values = 'normal'): GradcheckCase[] {
  return pairs.map(([p, q]) => ({
    ops: [op],
    title: `[${p.join(', ')}] and [${q.join(', ')}]`,
    inputs: { p, q },
    values: { p: values, q: values },
    build: (b) => b.op(op, ['p', 'q']),
  }))
}

function power(exponent: number): GradcheckCase {
  return {
    ops: ['Pow'],
    title: `exponent ${exponent}`,
    inputs: { x: ['N', 3] },
    values: 'positive',
    build: (b, type) => b.op('Pow', ['x', b.scalar(exponent, type)]),
  }
}

export const arithmetic: readonly GradcheckCase[] = [
  ...binary('Add'),
  ...binary('Sub'),
  ...binary('Mul'),
  ...binary('Div', 'positive'),
  ...binary('Pow', 'positive'),
  ...binary('Max', 'distinct'),
  ...binary('Min', 'distinct'),
  ...['Sum', 'Max', 'Min'].map(
    (op): GradcheckCase => ({
      ops: [op],
      title: 'three operands',
      inputs: { p: ['N', 3], q: [3], r: ['N', 1] },
      values: 'distinct',
      build: (b) => b.op(op, ['p', 'q', 'r']),
    }),
  ),
  ...['Sum', 'Max', 'Min'].map(
    (op): GradcheckCase => ({
      ops: [op],
      title: 'one operand',
      inputs: { p: ['N', 3] },
      build: (b) => b.op(op, ['p']),
    }),
  ),
  ...[0, 1, 2, 3, 0.5, -1.5].map(power),
  {
    ops: ['Pow'],
    title: 'an int64 exponent and a negative base',
    inputs: { x: ['N', 3] },
    values: 'away',
    build: (b) => b.op('Pow', ['x', b.constant(tensor('int64', [3], BigInt64Array.of(1n, 2n, 3n)))]),
  },
  {
    ops: ['Mul'],
    title: 'a value times itself',
    inputs: { x: ['N', 3] },
    build: (b) => b.op('Mul', ['x', 'x']),
  },
  {
    ops: ['Where'],
    title: 'broadcast both ways',
    inputs: { p: ['N', 3], q: [1, 1] },
    build: (b) => b.op('Where', [b.constant(tensor('bool', [3], Uint8Array.of(1, 0, 1))), 'p', 'q']),
  },
  {
    ops: ['Where'],
    title: 'a computed condition',
    inputs: { p: ['N', 3], q: ['N', 1] },
    values: 'distinct',
    build: (b) => b.op('Where', [b.op('Greater', ['p', 'q']), 'p', 'q']),
  },
  {
    ops: ['Clip'],
    title: 'both bounds, trained',
    inputs: { x: ['N', 5], lo: [], hi: [] },
    values: { x: 'away', lo: 'unit', hi: 'positive' },
    // unit [0.1, 0.9] and positive + 1: the bounds stay apart.
    build: (b, type) => b.op('Clip', ['x', b.op('Neg', ['lo']), b.op('Add', ['hi', b.scalar(1, type)])]),
  },
  ...(
    [
      ['', 'hi'],
      ['lo', ''],
      ['', ''],
    ] as const
  ).map(
    ([lo, hi]): GradcheckCase => ({
      ops: ['Clip'],
      title: `bounds: ${lo || 'none'}, ${hi || 'none'}`,
      inputs: { x: ['N', 5] },
      values: 'away',
      build: (b, type) => b.op('Clip', ['x', lo && b.scalar(-1, type), hi && b.scalar(1, type)]),
    }),
  ),
  {
    ops: ['Clip'],
    title: 'bounds that cross',
    inputs: { x: ['N', 5], lo: [], hi: [] },
    values: { x: 'away', lo: 'positive', hi: 'unit' },
    build: (b, type) => b.op('Clip', ['x', 'lo', b.op('Sub', ['hi', b.scalar(1, type)])]),
  },
  {
    ops: ['Mod'],
    title: 'fmod',
    inputs: { p: ['N', 3], q: [3] },
    values: { p: 'away', q: 'positive' },
    build: (b) => b.op('Mod', ['p', 'q'], { fmod: 1 }),
  },
  {
    ops: ['PRelu'],
    title: 'slope of a channel',
    inputs: { x: ['N', 3, 2], slope: [3, 1] },
    values: 'away',
    build: (b) => b.op('PRelu', ['x', 'slope']),
  },
]
