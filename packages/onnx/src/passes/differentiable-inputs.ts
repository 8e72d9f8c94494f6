import { intAttribute } from '../attributes.js'
import { typeOfCode } from '../data-types.js'
import type { Node } from '../ir.js'

/** Inputs of an op through which no gradient goes; `'all'` for ops whose output does not depend smoothly on any. */
const blocked: { readonly [op: string]: readonly number[] | 'all' } = {
  BatchNormalization: [3, 4],
  Clip: [1, 2],
  CumSum: [1],
  Dropout: [1, 2],
  Expand: [1],
  Gather: [1],
  GatherElements: [1],
  GatherND: [1],
  GRU: [4],
  LSTM: [4],
  Pad: [1, 2, 3],
  Pow: [1],
  Reshape: [1],
  Resize: [1, 2, 3],
  RNN: [4],
  ScatterElements: [1],
  ScatterND: [1],
  Slice: [1, 2, 3, 4],
  Split: [1],
  Squeeze: [1],
  Tile: [1],
  TopK: [1],
  Trilu: [1],
  Unsqueeze: [1],
  Upsample: [1],
  Where: [0],
  ...Object.fromEntries(
    ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp'].map((name) => [
      `Reduce${name}`,
      [1],
    ]),
  ),
  ...Object.fromEntries(
    [
      'And ArgMax ArgMin Bernoulli Ceil ConstantOfShape DequantizeLinear DynamicQuantizeLinear Equal EyeLike Floor Greater',
      'GreaterOrEqual Hardmax IsInf IsNaN Less LessOrEqual Multinomial NonMaxSuppression NonZero Not OneHot Or QuantizeLinear',
      'RandomNormalLike RandomUniformLike Range Round Shape Sign Size Xor',
    ].flatMap((line) => line.split(' ').map((op) => [op, 'all'] as const)),
  ),
}

/** The names that a node reads and through which gradients go. */
export function differentiableReads(node: Node): readonly string[] {
  if (node.op === 'Cast') {
    const to = typeOfCode(intAttribute(node, 'to', 1))
    if (to === undefined || !/float/.test(to)) return []
  }
  const without = Object.hasOwn(blocked, node.op) ? blocked[node.op] : undefined
  if (without === 'all') return []
  return node.inputs.filter((name, i) => name !== '' && without?.includes(i) !== true)
}
