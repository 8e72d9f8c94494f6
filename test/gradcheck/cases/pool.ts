import type { AttributeValue, Shape } from '@imago/onnx'
import type { GradcheckCase } from '../case.js'

function row(
  op: string,
  title: string,
  shape: Shape,
  attributes: { readonly [name: string]: AttributeValue },
): GradcheckCase {
  return { ops: [op], title, inputs: { x: shape }, values: 'distinct', build: (b) => b.op(op, ['x'], attributes) }
}

const windows: readonly (readonly [string, Shape, { readonly [name: string]: AttributeValue }])[] = [
  ['2×2, stride 2', ['N', 2, 6, 6], { kernel_shape: [2, 2], strides: [2, 2] }],
  ['a remainder that no window reaches', ['N', 2, 7, 5], { kernel_shape: [2, 2], strides: [2, 2] }],
  ['overlap and padding', ['N', 2, 7, 6], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }],
  ['asymmetric padding', ['N', 1, 6, 5], { kernel_shape: [3, 2], strides: [2, 1], pads: [0, 1, 1, 0] }],
  ['ceil_mode', ['N', 2, 6, 7], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }],
  ['SAME_UPPER', ['N', 2, 6, 7], { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_UPPER' }],
  ['SAME_LOWER', ['N', 2, 6, 7], { kernel_shape: [2, 2], strides: [1, 1], auto_pad: 'SAME_LOWER' }],
  ['1-D', ['N', 2, 9], { kernel_shape: [3], strides: [2] }],
  ['3-D', ['N', 2, 4, 5, 4], { kernel_shape: [2, 2, 2], strides: [2, 1, 2] }],
]

export const pool: readonly GradcheckCase[] = [
  ...windows.map(([title, shape, attributes]) => row('MaxPool', title, shape, attributes)),
  row('MaxPool', 'dilations', ['N', 2, 7, 7], { kernel_shape: [2, 2], dilations: [2, 3] }),
]
