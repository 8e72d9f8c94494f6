import type { AttributeValue, Shape } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import type { GradcheckCase } from '../case.js'

function ints(values: readonly number[], dims: readonly number[] = [values.length]) {
  return tensor('int64', dims, BigInt64Array.from(values, BigInt))
}

const reductions: readonly (readonly [reduction: string, opset: number])[] = [
  ['none', 17],
  ['add', 17],
  ['mul', 17],
  ['max', 18],
  ['min', 18],
]

/** Places are written twice but for the plain form, where the order would decide. */
const byElement = reductions.map(
  ([reduction, opset]): GradcheckCase => ({
    ops: ['ScatterElements'],
    title: `reduction ${reduction}`,
    inputs: { x: ['N', 4], u: ['N', 3] },
    values: reduction === 'mul' ? 'away' : 'distinct',
    opset,
    output: ['N', 4],
    build: (b) => {
      const at = b.constant(ints(reduction === 'none' ? [3, 0, 1] : [3, 0, 3], [1, 3]))
      const rows = b.op('Expand', [at, b.op('Shape', ['u'])])
      return b.op('ScatterElements', ['x', rows, 'u'], { axis: 1, reduction })
    },
  }),
)

const byRow = reductions.map(
  ([reduction, opset]): GradcheckCase => ({
    ops: ['ScatterND'],
    title: `reduction ${reduction}`,
    inputs: { x: [4, 'N'], u: [3, 'N'] },
    values: reduction === 'mul' ? 'away' : 'distinct',
    opset,
    output: [4, 'N'],
    build: (b) => {
      const at = b.constant(ints(reduction === 'none' ? [3, 0, 1] : [3, 0, 3], [3, 1]))
      return b.op('ScatterND', ['x', at, 'u'], { reduction })
    },
  }),
)

function moving(
  op: string,
  title: string,
  shape: Shape,
  more: readonly (readonly number[])[],
  attributes: { readonly [name: string]: AttributeValue },
  output: Shape,
  opset = 17,
): GradcheckCase {
  return {
    ops: [op],
    title,
    inputs: { x: shape },
    opset,
    output,
    build: (b) => b.op(op, ['x', ...more.map((values) => b.constant(ints(values)))], attributes),
  }
}

export const scatter: readonly GradcheckCase[] = [
  ...byElement,
  ...byRow,
  {
    ops: ['ScatterElements'],
    title: 'products with factors 0',
    inputs: { x: ['N', 3], u: ['N', 3] },
    values: 'away',
    build: (b, type) => {
      // One 0 at the first place, two at the second, none at the third.
      const zeros = tensor(type, [1, 3], type === 'float64' ? Float64Array.of(0, 0, 1) : Float32Array.of(0, 0, 1))
      const data = b.op('Mul', ['x', b.constant(zeros)])
      const more = tensor(type, [1, 3], type === 'float64' ? Float64Array.of(1, 0, 1) : Float32Array.of(1, 0, 1))
      const updates = b.op('Mul', ['u', b.constant(more)])
      const at = b.op('Expand', [b.constant(ints([0, 1, 2], [1, 3])), b.op('Shape', ['u'])])
      const one = b.op('ScatterElements', [data, at, updates], { axis: 1, reduction: 'mul' })
      return b.op('Add', [one, b.op('Mul', ['x', 'x'])])
    },
  },
  moving('CenterCropPad', 'cropped and padded', ['N', 5, 2], [[3, 5]], { axes: [1, 2] }, ['N', 3, 5], 18),
  moving('ReverseSequence', 'rows of some length', [4, 3, 2], [[2, 4, 1]], { batch_axis: 1, time_axis: 0 }, [4, 3, 2]),
  {
    ops: ['Compress'],
    title: 'along an axis',
    inputs: { x: ['N', 4] },
    output: ['N', 2],
    build: (b) => b.op('Compress', ['x', b.constant(tensor('bool', [4], Uint8Array.of(0, 1, 0, 1)))], { axis: 1 }),
  },
  {
    ops: ['TensorScatter'],
    title: 'rows of a cache, circular',
    inputs: { past: [2, 4, 3], update: [2, 2, 3] },
    opset: 24,
    output: [2, 4, 3],
    build: (b) => b.op('TensorScatter', ['past', 'update', b.constant(ints([1, 3]))], { axis: 1, mode: 'circular' }),
  },
  {
    ops: ['MaxUnpool'],
    title: 'after a MaxPool',
    inputs: { x: [2, 1, 2, 2] },
    output: [2, 1, 4, 4],
    reference: (b, type) => {
      const zeros = b.op('Expand', [b.scalar(0, type), b.ints([32])])
      const at = b.constant(ints([5, 7, 8, 10, 16, 19, 29, 31]))
      const flat = b.op('ScatterElements', [zeros, at, b.op('Reshape', ['x', b.ints([-1])])], { axis: 0 })
      return b.op('Reshape', [flat, b.ints([2, 1, 4, 4])])
    },
    build: (b) => {
      const at = b.constant(ints([5, 7, 8, 10, 16, 19, 29, 31], [2, 1, 2, 2]))
      return b.op('MaxUnpool', ['x', at], { kernel_shape: [2, 2], strides: [2, 2] })
    },
  },
  {
    ops: ['Col2Im'],
    title: 'overlapping patches with strides and padding',
    inputs: { x: ['N', 8, 6] },
    opset: 18,
    output: ['N', 2, 4, 3],
    // Each patch laid into an image of zeros; 2 channels, patches of 2×2 at steps of 2 and 1, one row and column of padding around.
    reference: (b, type) => {
      const places = [0, 2, 4].flatMap((row) => [0, 1].map((column) => [row, column] as const))
      const padded = places.map(([row, column], i) => {
        const patch = b.op('Slice', ['x', b.ints([i]), b.ints([i + 1]), b.ints([2])])
        const square = b.op('Reshape', [patch, b.ints([0, 2, 2, 2])])
        return b.op('Pad', [square, b.ints([0, 0, row, column, 0, 0, 4 - row, 1 - column]), b.scalar(0, type)])
      })
      return b.op('Slice', [b.op('Sum', padded), b.ints([1, 0]), b.ints([5, 3]), b.ints([2, 3])])
    },
    build: (b) => b.op('Col2Im', ['x', b.ints([4, 3]), b.ints([2, 2])], { strides: [2, 1], pads: [1, 0, 1, 0] }),
  },
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map(
      (reverse): GradcheckCase => ({
        ops: ['CumProd'],
        title: `exclusive ${exclusive}, reverse ${reverse}`,
        inputs: { x: ['N', 4] },
        values: 'away',
        opset: 26,
        output: ['N', 4],
        reference: (b, type) => {
          const at = (i: number): string => b.op('Slice', ['x', b.ints([i]), b.ints([i + 1]), b.ints([1])])
          const one = b.op('Add', [b.op('Mul', [at(0), b.scalar(0, type)]), b.scalar(1, type)])
          const products = [0, 1, 2, 3].map((i) => {
            const factors = [0, 1, 2, 3].filter((j) => (reverse ? j > i : j < i) || (!exclusive && j === i))
            return factors.reduce((product, j) => b.op('Mul', [product, at(j)]), one)
          })
          return b.op('Concat', products, { axis: 1 })
        },
        build: (b) =>
          b.op('CumProd', ['x', b.constant(tensor('int64', [], BigInt64Array.of(1n)))], { exclusive, reverse }),
      }),
    ),
  ),
]
