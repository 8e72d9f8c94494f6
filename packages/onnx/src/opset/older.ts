import { tensor } from '@imago/tensor'
import { floatAttribute, intAttribute, intsAttribute, stringAttribute } from '../attributes.js'
import { typeCode } from '../data-types.js'
import type { Attribute, Node } from '../ir.js'
import { plain, type Rewrite, type Rewriter, refuse, withAttribute, withInput, without } from './rewriter.js'

const int64s = (values: readonly number[]) =>
  tensor('int64', [values.length], BigInt64Array.from(values.map((value) => BigInt(value))))
const float32 = (value: number) => tensor('float32', [], Float32Array.of(value))

/** An int list that became an input: attribute `name` → input `i`. */
const toInput =
  (name: string, i: number): Rewrite =>
  (node, to) => {
    const values = intsAttribute(node, name, undefined)
    if (values === undefined) return [node]
    return [withInput(without(node, name), i, to.constant(`${node.outputs[0]}.${name}`, int64s(values)))]
  }

const chain =
  (...rules: readonly Rewrite[]): Rewrite =>
  (node, to) =>
    rules.reduce<readonly Node[]>(
      (nodes, rule) => nodes.flatMap((one) => (one.op === node.op ? rule(one, to) : [one])),
      [node],
    )

/** Before opset 7 shapes were broadcast on demand; without an axis that is a part of what is done since. */
const oldBroadcast: Rewrite = (node, to) => {
  if (to.version >= 7) return [node]
  if (node.attributes.has('axis')) refuse(node, 'broadcasts along an axis as it was done before opset 7', to.version)
  return [without(node, 'broadcast', 'consumed_inputs')]
}

const dropout: Rewrite = (node, to) => {
  if (to.version >= 12) return [node]
  if (to.version < 7 && intAttribute(node, 'is_test', 0) === 0 && to.isRead(node.outputs[1] ?? ''))
    refuse(node, 'is in training mode and its mask is read', to.version)
  const ratio = to.constant(`${node.outputs[0]}.ratio`, float32(floatAttribute(node, 'ratio', 0.5)))
  const result = withInput(without(node, 'ratio', 'is_test', 'consumed_inputs'), 1, ratio)
  const [output = '', mask = ''] = node.outputs
  if (!to.isRead(mask)) return [{ ...result, outputs: [output] }]
  if (to.version >= 10) return [result]
  const truth = to.unique(`${mask}.bool`)
  const type = BigInt(typeCode(to.typeOf(node.inputs[0] ?? '') ?? 'float32'))
  const cast = withAttribute(plain('Cast', [truth], [mask], ''), 'to', { kind: 'int', value: type })
  return [{ ...result, outputs: [output, truth] }, cast]
}

/** Before opset 13 the axes from `axis` (default 1) on were one class axis. */
const softmax: Rewrite = (node, to) => {
  if (to.version >= 13) return [node]
  const [input = '', output = ''] = [node.inputs[0], node.outputs[0]]
  const axis = intAttribute(node, 'axis', 1)
  const rank = to.shapeOf(input)?.length
  const isLast = axis === -1 || (rank !== undefined && axis === rank - 1)
  if (isLast) return [withAttribute(node, 'axis', { kind: 'int', value: -1n })]
  const flat = to.unique(`${output}.flat`)
  const result = to.unique(`${output}.classes`)
  const shape = to.unique(`${output}.shape`)
  return [
    plain('Shape', [input], [shape], ''),
    withAttribute(plain('Flatten', [input], [flat], ''), 'axis', { kind: 'int', value: BigInt(axis) }),
    { ...withAttribute(node, 'axis', { kind: 'int', value: -1n }), inputs: [flat], outputs: [result] },
    plain('Reshape', [result, shape], [output], ''),
  ]
}

const clip: Rewrite = (node, to) => {
  if (to.version >= 11) return [node]
  let result = without(node, 'min', 'max', 'consumed_inputs')
  const bounds = [
    ['min', floatAttribute(node, 'min', undefined)],
    ['max', floatAttribute(node, 'max', undefined)],
  ] as const
  for (const [i, [name, value]] of bounds.entries())
    if (value !== undefined)
      result = withInput(result, i + 1, to.constant(`${node.outputs[0]}.${name}`, float32(value)))
  return [result]
}

/** Before opset 14 the statistics of training were outputs 1 to 4; at inference there are none. */
const batchNormalization: Rewrite = (node, to) => {
  if (to.version >= 14) return [node]
  if (to.version < 9 && intAttribute(node, 'spatial', 1) === 0) refuse(node, 'has a mean for every pixel', to.version)
  if (node.outputs.slice(1).some((name) => to.isRead(name)))
    refuse(node, 'is in training mode, its statistics are read', to.version)
  const plain = { ...without(node, 'spatial', 'is_test', 'consumed_inputs'), outputs: node.outputs.slice(0, 1) }
  // More outputs than one were the training mode.
  return [node.outputs.length > 1 ? withAttribute(plain, 'training_mode', { kind: 'int', value: 1n }) : plain]
}

const pad: Rewrite = (node, to) => {
  if (to.version >= 11) return [node]
  const pads = intsAttribute(node, 'pads', undefined) ?? intsAttribute(node, 'paddings', [])
  const value = floatAttribute(node, 'value', 0)
  const result = withInput(
    without(node, 'pads', 'paddings', 'value'),
    1,
    to.constant(`${node.outputs[0]}.pads`, int64s(pads)),
  )
  if (stringAttribute(node, 'mode', 'constant') !== 'constant' || value === 0) return [result]
  return [withInput(result, 2, to.constant(`${node.outputs[0]}.value`, float32(value)))]
}

const reshape: Rewrite = (node, to) =>
  to.version < 5 ? toInput('shape', 1)(without(node, 'consumed_inputs'), to) : [node]

const slice: Rewrite = (node, to) => {
  if (to.version >= 10) return [node]
  return chain(toInput('starts', 1), toInput('ends', 2), toInput('axes', 3))(node, to)
}

const topK: Rewrite = (node, to) => {
  if (to.version >= 10) return [node]
  const k = intAttribute(node, 'k', 1)
  return [withInput(without(node, 'k'), 1, to.constant(`${node.outputs[0]}.k`, int64s([k])))]
}

/** Before opset 7 a slope per channel was spread over the space behind it. */
const pRelu: Rewrite = (node, to) => {
  const slope = to.valueOf(node.inputs[1] ?? '')?.dims
  if (to.version < 7 && !slope?.every((dim) => dim === 1))
    refuse(node, 'has a slope for each channel as it was spread before opset 7', to.version)
  return [without(node, 'consumed_inputs')]
}

const concat: Rewrite = (node, to) =>
  to.version < 4 && !node.attributes.has('axis') ? [withAttribute(node, 'axis', { kind: 'int', value: 1n })] : [node]

/** Opsets 7 to 9; Resize takes the same samples with asymmetric coordinates rounded down. */
const upsample: Rewrite = (node, to) => {
  if (to.version < 7) refuse(node, 'is of an old form', to.version)
  const mode = stringAttribute(node, 'mode', 'nearest')
  const given = node.attributes.get('scales')
  const values = given?.kind === 'floats' ? given.value : undefined
  const made = (scales: readonly number[]): string =>
    to.constant(`${node.outputs[0]}.scales`, tensor('float32', [scales.length], Float32Array.from(scales)))
  const scales = values === undefined ? (node.inputs[1] ?? '') : made(values)
  const attributes = new Map<string, Attribute>([
    ['mode', { kind: 'string', value: mode }],
    ['coordinate_transformation_mode', { kind: 'string', value: 'asymmetric' }],
    ['nearest_mode', { kind: 'string', value: 'floor' }],
  ])
  return [{ ...node, op: 'Resize', inputs: [node.inputs[0]!, '', scales], attributes }]
}

const below =
  (version: number, rule: Rewrite): Rewrite =>
  (node, to) =>
    to.version < version ? rule(node, to) : [node]

const never =
  (version: number, why: string): Rewrite =>
  (node, to) =>
    to.version < version ? refuse(node, why, to.version) : [node]

const rename =
  (version: number, op: string): Rewrite =>
  (node, to) => [to.version < version ? { ...node, op } : node]

const forget: Rewrite = (node) => [without(node, 'consumed_inputs')]

/** How nodes of opsets 1 to 16 are written in opset 17. Ops that are not here mean the same in all of them. */
export const olderRewrites: ReadonlyMap<string, Rewrite> = new Map<string, Rewrite>([
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'And', 'Or', 'Xor', 'Equal', 'Greater', 'Less', 'Gemm'].map(
    (op) => [op, oldBroadcast] as const,
  ),
  ...[
    'Relu',
    'LeakyRelu',
    'Elu',
    'Selu',
    'Sigmoid',
    'Tanh',
    'Exp',
    'Log',
    'Sqrt',
    'Neg',
    'Abs',
    'Reciprocal',
    'Floor',
    'Ceil',
  ].map((op) => [op, forget] as const),
  ...['Sum', 'Mean', 'Max', 'Min', 'HardSigmoid', 'Softplus', 'Softsign', 'InstanceNormalization'].map(
    (op) => [op, forget] as const,
  ),
  ...['Softmax', 'LogSoftmax', 'Hardmax'].map((op) => [op, softmax] as const),
  ['BatchNormalization', batchNormalization],
  ['Cast', never(6, 'names its type by a word')],
  ['Clip', clip],
  ['Concat', concat],
  ['Dropout', dropout],
  ['GRU', never(7, 'is of an old form')],
  ['LSTM', never(7, 'is of an old form')],
  ['Pad', pad],
  ['PRelu', pRelu],
  ['ReduceSum', below(13, toInput('axes', 1))],
  ['Reshape', reshape],
  ['Resize', never(11, 'places its samples as before opset 11')],
  ['RNN', never(7, 'is of an old form')],
  ['RoiAlign', never(16, 'places its samples as before opset 16')],
  ['Scan', never(9, 'is of an old form')],
  ['Scatter', rename(11, 'ScatterElements')],
  ['Slice', slice],
  ['Split', below(13, toInput('split', 1))],
  ['Squeeze', below(13, toInput('axes', 1))],
  ['TopK', topK],
  ['Unsqueeze', below(13, toInput('axes', 1))],
  ['Upsample', upsample],
])

export type { Rewriter }
