import type { Shape } from '@imago/onnx'
import type { GradcheckCase, Values } from '../case.js'

/** Ops whose axes are an attribute in opset 17; ReduceSum takes an input. */
const reductions: readonly (readonly [op: string, values: Values])[] = [
  ['ReduceMean', 'normal'],
  ['ReduceMax', 'distinct'],
  ['ReduceMin', 'distinct'],
  ['ReduceL1', 'away'],
  ['ReduceL2', 'normal'],
  ['ReduceSumSquare', 'normal'],
  ['ReduceLogSumExp', 'normal'],
  ['ReduceProd', 'away'],
  ['ReduceLogSum', 'positive'],
]

const axesOf: readonly (readonly number[] | undefined)[] = [undefined, [1], [-1], [0], [0, 2], [1, 2], [0, 1, 2]]

const shape: Shape = ['N', 3, 4]

export const reduce: readonly GradcheckCase[] = [
  ...axesOf.flatMap((axes) =>
    [0, 1].flatMap((keepdims) => [
      ...reductions.map(
        ([op, values]): GradcheckCase => ({
          ops: [op],
          title: `axes ${axes?.join(', ') ?? 'all'}, keepdims ${keepdims}`,
          inputs: { x: shape },
          values,
          build: (b) => b.op(op, ['x'], { keepdims, ...(axes && { axes }) }),
        }),
      ),
      {
        ops: ['ReduceSum'],
        title: `axes ${axes?.join(', ') ?? 'all'}, keepdims ${keepdims}`,
        inputs: { x: shape },
        build: (b) => b.op('ReduceSum', axes ? ['x', b.ints(axes)] : ['x'], { keepdims }),
      } satisfies GradcheckCase,
    ]),
  ),
  {
    ops: ['ReduceSum'],
    title: 'no axes, which leaves everything',
    inputs: { x: shape },
    build: (b) => b.op('ReduceSum', ['x', b.ints([])], { noop_with_empty_axes: 1 }),
  },
  ...[1, 2].map(
    (zeros): GradcheckCase => ({
      ops: ['ReduceProd'],
      title: `${zeros} of the factors 0`,
      inputs: { x: ['N', 3] },
      values: 'away',
      build: (b, type) => {
        const still = b.op('Mul', ['x', b.scalar(0, type)])
        const more = Array.from({ length: zeros }, () => b.op('Slice', [still, b.ints([0]), b.ints([1]), b.ints([1])]))
        // The zeros move with x, times 0: what flows to them must be the product of the others, and then vanish.
        return b.op('ReduceProd', [b.op('Concat', ['x', ...more], { axis: 1 })], { axes: [1] })
      },
    }),
  ),
  ...['ReduceMean', 'ReduceProd', 'ReduceLogSumExp'].flatMap((op) =>
    [0, 1].map(
      (keepdims): GradcheckCase => ({
        ops: [op],
        title: `axes known when it runs, keepdims ${keepdims}`,
        inputs: { x: ['N', 3, 4] },
        values: 'away',
        opset: 18,
        output: keepdims ? ['N', 1, 1] : ['N'],
        build: (b) =>
          b.op(op, ['x', b.op('Add', [b.op('Neg', [b.op('Shape', [b.op('Shape', ['x'])])]), b.ints([4, 5])])], {
            keepdims,
          }),
      }),
    ),
  ),
  {
    ops: ['ReduceMean'],
    title: 'a scalar',
    inputs: { x: [] },
    build: (b) => b.op('ReduceMean', ['x']),
  },
]
