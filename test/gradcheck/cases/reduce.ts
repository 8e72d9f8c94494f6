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
  {
    ops: ['ReduceMean'],
    title: 'a scalar',
    inputs: { x: [] },
    build: (b) => b.op('ReduceMean', ['x']),
  },
]
