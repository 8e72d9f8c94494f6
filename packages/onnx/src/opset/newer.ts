import { tensor } from '@imago/tensor'
import { intAttribute, stringAttribute } from '../attributes.js'
import type { Node } from '../ir.js'
import { type Rewrite, type Rewriter, withAttribute, withInput, without } from './rewriter.js'

/** Ops whose form and meaning did not change from opset 17 to 28 for what opset 17 can say. */
const unchanged =
  'Abs Add And ArgMax ArgMin BatchNormalization Ceil Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos CumSum ' +
  'DepthToSpace Div Dropout Einsum Elu Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gemm GlobalAveragePool ' +
  'GlobalMaxPool Greater GreaterOrEqual GRU HardSigmoid HardSwish Hardmax Identity If InstanceNormalization IsNaN LayerNormalization ' +
  'LRN LSTM LeakyRelu Less LessOrEqual Log LogSoftmax Loop MatMul Max MaxPool Mean Min Mod Mul Neg Not OneHot Or PRelu Pow RNN ' +
  'Reciprocal ReduceSum Relu Reshape Round Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus ' +
  'Softsign Sqrt Squeeze Sub Sum Tan Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor Celu ThresholdedRelu'

/** Axes as attribute again, where they are constant. */
const reduce: Rewrite = (node, to) => {
  const name = node.inputs[1] ?? ''
  if (name === '' && intAttribute(node, 'noop_with_empty_axes', 0) === 0)
    return [{ ...without(node, 'noop_with_empty_axes'), inputs: node.inputs.slice(0, 1) }]
  const axes = [...(to.valueOf(name)!.data as Iterable<bigint>)]
  const empty = axes.length === 0
  if (empty && intAttribute(node, 'noop_with_empty_axes', 0) !== 0)
    return [{ ...node, op: 'Identity', inputs: node.inputs.slice(0, 1), attributes: new Map() }]
  const bare = { ...without(node, 'noop_with_empty_axes'), inputs: node.inputs.slice(0, 1) }
  return [empty ? bare : withAttribute(bare, 'axes', { kind: 'ints', value: axes })]
}

function axesAreKnown(node: Node, to: Rewriter): boolean {
  const name = node.inputs[1] ?? ''
  return name === '' ? intAttribute(node, 'noop_with_empty_axes', 0) === 0 : to.valueOf(name) !== undefined
}

/** Equal parts by number: opset 17 splits evenly without being told, else by sizes. */
const split: Rewrite = (node, to) => {
  const bare = without(node, 'num_outputs')
  const size = splitSize(node, to)
  if (node.inputs.length > 1 || size === undefined || size % node.outputs.length === 0) return [bare]
  const chunk = Math.ceil(size / node.outputs.length)
  const sizes = node.outputs.map((_, i) => BigInt(Math.max(0, Math.min(chunk, size - i * chunk))))
  return [
    withInput(
      bare,
      1,
      to.constant(`${node.outputs[0]}.split`, tensor('int64', [sizes.length], BigInt64Array.from(sizes))),
    ),
  ]
}

function splitSize(node: Node, to: Rewriter): number | undefined {
  const dim = to.shapeOf(node.inputs[0] ?? '')?.at(intAttribute(node, 'axis', 0))
  return typeof dim === 'number' ? dim : undefined
}

/** Exact Gelu is an op of ONNX Runtime's own domain; the tanh form is FastGelu there. */
const gelu: Rewrite = (node) => {
  const op = stringAttribute(node, 'approximate', 'none') === 'tanh' ? 'FastGelu' : 'Gelu'
  return [{ ...without(node, 'approximate'), op, domain: 'com.microsoft' }]
}

/** Pads for some axes only become pads for all. */
const pad: Rewrite = (node, to) => {
  if ((node.inputs[3] ?? '') === '') return [{ ...node, inputs: node.inputs.slice(0, 3) }]
  const rank = to.shapeOf(node.inputs[0] ?? '')!.length
  const axes = [...(to.valueOf(node.inputs[3]!)!.data as Iterable<bigint | number>)].map(
    (axis) => (Number(axis) + rank) % rank,
  )
  const some = [...(to.valueOf(node.inputs[1] ?? '')!.data as Iterable<bigint>)]
  const pads = new BigInt64Array(2 * rank)
  for (const [i, axis] of axes.entries()) {
    pads[axis] = some[i]!
    pads[axis + rank] = some[i + axes.length]!
  }
  const whole = to.constant(`${node.outputs[0]}.pads`, tensor('int64', [2 * rank], pads))
  return [{ ...node, inputs: [node.inputs[0]!, whole, ...node.inputs.slice(2, 3)] }]
}

/** Two pads for each axis that is named, and axes that are there; what does not fit is for the runtime to refuse. */
function padsFit({ inputs: [data = '', pads = '', , axes = ''] }: Node, to: Rewriter): boolean {
  const rank = to.shapeOf(data)?.length
  const [some, named] = [to.valueOf(pads), to.valueOf(axes)]
  if (rank === undefined || some?.type !== 'int64' || named === undefined) return false
  const inRange = [...(named.data as Iterable<bigint | number>)].every((axis) => axis >= -rank && axis < rank)
  return inRange && some.data.length === 2 * named.data.length
}

interface Newer {
  /** False where this node cannot be said in opset 17. */
  readonly can: (node: Node, to: Rewriter) => boolean
  readonly rewrite: Rewrite
}

const asItIs: Newer = { can: () => true, rewrite: (node) => [node] }
/** Opset 18 brought the reductions min and max. */
const scatter: Newer = {
  can: (node) => ['none', 'add', 'mul'].includes(stringAttribute(node, 'reduction', 'none')),
  rewrite: (node) => [node],
}
const reductions = ['Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp']

/** How nodes of opsets 18 to 28 are written in opset 17. */
export const newerRewrites: ReadonlyMap<string, Newer> = new Map<string, Newer>([
  ...unchanged.split(' ').map((op): [string, Newer] => [op, asItIs]),
  ...reductions.map((name): [string, Newer] => [`Reduce${name}`, { can: axesAreKnown, rewrite: reduce }]),
  // From opset 19 on ONNX Runtime sums in another order; the model stays where it is rather than change in the last digit.
  ['AveragePool', { can: (_node, to) => to.version < 19, rewrite: (node) => [node] }],
  [
    'Split',
    {
      can: (node, to) => node.inputs.length > 1 || splitSize(node, to) !== undefined,
      rewrite: split,
    },
  ],
  // Saturation and rounding are of 8-bit floats, which opset 17 does not have.
  ['Cast', { can: () => true, rewrite: (node) => [without(node, 'saturate', 'round_mode')] }],
  ['Range', { can: () => true, rewrite: (node) => [without(node, 'stash_type')] }],
  ['Equal', { can: (node, to) => to.typeOf(node.inputs[0] ?? '') !== 'string', rewrite: (node) => [node] }],
  ['ScatterElements', scatter],
  ['ScatterND', scatter],
  [
    'SpaceToDepth',
    { can: (node) => stringAttribute(node, 'mode', 'DCR') === 'DCR', rewrite: (node) => [without(node, 'mode')] },
  ],
  ['Gelu', { can: () => true, rewrite: gelu }],
  [
    'Pad',
    {
      can: (node, to) =>
        stringAttribute(node, 'mode', 'constant') !== 'wrap' && ((node.inputs[3] ?? '') === '' || padsFit(node, to)),
      rewrite: pad,
    },
  ],
])
