import { intAttribute } from '../attributes.js'
import { same } from './elementwise.js'
import { at, axisOf, type Known, type ShapeRule, type ShapeRules } from './rule.js'

/** In training mode (and before opset 14) running and saved statistics [C] follow. */
const batchNormalization: ShapeRule = (node, inputs) => {
  const { type, shape } = at(inputs, 0)
  const channels: Known = { type: at(inputs, 3).type ?? type, shape: at(inputs, 3).shape ?? at(inputs, 1).shape }
  return node.outputs.map((_, i) => (i === 0 ? { type, shape } : channels))
}

/** Mean and inverse deviation keep the normalised axes with size 1. */
const layerNormalization: ShapeRule = (node, inputs) => {
  const { type, shape } = at(inputs, 0)
  if (shape === undefined) return [{ type }]
  const axis = axisOf(node, intAttribute(node, 'axis', -1), shape.length)
  const statistics: Known = { type: 'float32', shape: shape.map((dim, i) => (i < axis ? dim : 1)) }
  return [{ type, shape }, statistics, statistics]
}

export const normalizationRules: ShapeRules = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  RMSNormalization: same,
  InstanceNormalization: same,
  GroupNormalization: same,
  LRN: same,
  LpNormalization: same,
  MeanVarianceNormalization: same,
  Softmax: same,
  LogSoftmax: same,
  Hardmax: same,
}
