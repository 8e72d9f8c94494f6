import { intAttribute, intsAttribute } from '../attributes.js'
import { at, axisOf, hasInput, numbers, type ShapeRule, type ShapeRules } from './rule.js'

/** Axes come as an attribute or, in newer opsets, as the second input. */
const reduce: ShapeRule = (node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  if (shape === undefined) return [{ type }]
  const keep = intAttribute(node, 'keepdims', 1) !== 0
  const given = hasInput(node, 1)
  const listed = given ? numbers(at(inputs, 1).value) : intsAttribute(node, 'axes', [])
  if (given && listed === undefined) return [{ type, shape: keep ? shape.map(() => context.fresh()) : undefined }]
  const none = listed === undefined || listed.length === 0
  if (none && intAttribute(node, 'noop_with_empty_axes', 0) !== 0) return [{ type, shape }]
  const axes = new Set(none ? shape.keys() : listed.map((axis) => axisOf(node, axis, shape.length)))
  const reduced = keep ? shape.map((dim, i) => (axes.has(i) ? 1 : dim)) : shape.filter((_, i) => !axes.has(i))
  return [{ type, shape: reduced }]
}

const argument: ShapeRule = (node, inputs) => {
  const { shape } = at(inputs, 0)
  if (shape === undefined) return [{ type: 'int64' }]
  const axis = axisOf(node, intAttribute(node, 'axis', 0), shape.length)
  const keep = intAttribute(node, 'keepdims', 1) !== 0
  return [{ type: 'int64', shape: shape.flatMap((dim, i) => (i !== axis ? [dim] : keep ? [1] : [])) }]
}

/** Values and indices: the axis takes size k. */
const topK: ShapeRule = (node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  if (shape === undefined) return [{ type }, { type: 'int64' }]
  const axis = axisOf(node, intAttribute(node, 'axis', -1), shape.length)
  const k = hasInput(node, 1) ? at(inputs, 1).value?.[0] : intAttribute(node, 'k', undefined)
  const chosen = shape.map((dim, i) => (i === axis ? (k ?? context.fresh()) : dim))
  return [
    { type, shape: chosen },
    { type: 'int64', shape: chosen },
  ]
}

const reductions = ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp']

export const reductionRules: ShapeRules = {
  ...Object.fromEntries(reductions.map((name) => [`Reduce${name}`, reduce])),
  ArgMax: argument,
  ArgMin: argument,
  TopK: topK,
}
