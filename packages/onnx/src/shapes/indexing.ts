import { intAttribute, intsAttribute } from '../attributes.js'
import { same } from './elementwise.js'
import { at, axisOf, dimAt, type ShapeRule, type ShapeRules } from './rule.js'

/** indices [batch…, …places, k] pick from the axes behind the batch: [batch…, …places, …rest] */
const gatherNd: ShapeRule = (node, inputs) => {
  const { type, shape } = at(inputs, 0)
  const indices = at(inputs, 1).shape
  const depth = indices?.at(-1)
  if (shape === undefined || indices === undefined || typeof depth !== 'number') return [{ type }]
  const batch = intAttribute(node, 'batch_dims', 0)
  return [{ type, shape: [...indices.slice(0, -1), ...shape.slice(batch + depth)] }]
}

const compress: ShapeRule = (node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  const given = intAttribute(node, 'axis', undefined)
  if (given === undefined) return [{ type, shape: [context.fresh()] }]
  if (shape === undefined) return [{ type }]
  const axis = axisOf(node, given, shape.length)
  return [{ type, shape: shape.map((dim, i) => (i === axis ? context.fresh() : dim)) }]
}

const centerCropPad: ShapeRule = (node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  if (shape === undefined) return [{ type }]
  const axes = intsAttribute(node, 'axes', [...shape.keys()]).map((axis) => axisOf(node, axis, shape.length))
  const sizes = at(inputs, 1).value
  return [
    { type, shape: shape.map((dim, i) => (axes.includes(i) ? (sizes?.[axes.indexOf(i)] ?? context.fresh()) : dim)) },
  ]
}

/** The loss has the shape of the labels, or none once it is reduced; log-probabilities are like the input. */
const lossOf: ShapeRule = (node, inputs) => {
  const { type, shape } = at(inputs, 0)
  const reduction = node.attributes.get('reduction')
  const isKept = reduction?.kind === 'string' && reduction.value === 'none'
  return [
    { type, shape: isKept ? at(inputs, 1).shape : [] },
    { type, shape },
  ]
}

/** LSTM, GRU, RNN: x [T, N, input] (or batch first) → every step [T, directions, N, hidden], the last [directions, N, hidden]. */
const recurrent: ShapeRule = (node, inputs) => {
  const { type, shape } = at(inputs, 0)
  const weights = at(inputs, 2).shape
  if (shape?.length !== 3 || weights?.length !== 3) return [{ type }, { type }, { type }]
  const [directions, hidden] = [dimAt(weights, 0), dimAt(weights, 2)]
  const isBatchFirst = intAttribute(node, 'layout', 0) === 1
  const [batch, steps] = isBatchFirst ? [dimAt(shape, 0), dimAt(shape, 1)] : [dimAt(shape, 1), dimAt(shape, 0)]
  const last = isBatchFirst ? [batch, directions, hidden] : [directions, batch, hidden]
  const all = isBatchFirst ? [batch, steps, directions, hidden] : [steps, directions, batch, hidden]
  return [
    { type, shape: all },
    { type, shape: last },
    { type, shape: last },
  ]
}

export const indexingRules: ShapeRules = {
  GatherND: gatherNd,
  Compress: compress,
  CenterCropPad: centerCropPad,
  ReverseSequence: same,
  TensorScatter: same,
  RotaryEmbedding: same,
  NegativeLogLikelihoodLoss: lossOf,
  SoftmaxCrossEntropyLoss: lossOf,
  LSTM: recurrent,
  GRU: recurrent,
  RNN: recurrent,
}
