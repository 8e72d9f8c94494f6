import { intAttribute, nodeLabel, tensorAttribute } from '../attributes.js'
import { tensorOf } from '../constant-tensor.js'
import { productDim } from '../dim.js'
import type { ConstantTensor, Dim, Shape } from '../ir.js'
import { at, type Known, type ShapeRule, type ShapeRules } from './rule.js'

/** Vectors longer than this are no shapes. */
const longest = 64

/** What is known of a constant: small integer scalars and vectors with their elements. */
export function knownConstant(constant: ConstantTensor): Known {
  const { type, dims } = constant
  const known: Known = { type, shape: dims }
  const small = dims.length <= 1 && (dims[0] ?? 1) <= longest
  if (!small || (type !== 'int64' && type !== 'int32') || constant.external !== undefined) return known
  const data = tensorOf(constant).data as Iterable<bigint | number>
  return { ...known, value: Array.from(data, clamp) }
}

/** INT64_MAX as "to the end" and such stay the largest safe number. */
function clamp(value: number | bigint): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)))
}

const constant: ShapeRule = (node) => {
  const value = tensorAttribute(node, 'value')
  if (value !== undefined) return [knownConstant(value)]
  for (const [name, attribute] of node.attributes) {
    if (name === 'value_int' && attribute.kind === 'int')
      return [{ type: 'int64', shape: [], value: [clamp(attribute.value)] }]
    if (name === 'value_ints' && attribute.kind === 'ints')
      return [{ type: 'int64', shape: [attribute.value.length], value: attribute.value.map(clamp) }]
    if (name === 'value_float') return [{ type: 'float32', shape: [] }]
    if (name === 'value_floats' && attribute.kind === 'floats')
      return [{ type: 'float32', shape: [attribute.value.length] }]
    if (name === 'value_string') return [{ type: 'string', shape: [] }]
    if (name === 'value_strings' && attribute.kind === 'strings')
      return [{ type: 'string', shape: [attribute.value.length] }]
  }
  return []
}

const shapeOf: ShapeRule = (node, inputs) => {
  const { shape } = at(inputs, 0)
  if (shape === undefined) return [{ type: 'int64' }]
  const part = shape.slice(intAttribute(node, 'start', 0), intAttribute(node, 'end', shape.length))
  return [{ type: 'int64', shape: [part.length], value: part }]
}

const size: ShapeRule = (_node, inputs) => {
  const { shape } = at(inputs, 0)
  return [{ type: 'int64', shape: [], value: shape && [productDim(shape)] }]
}

/** The shape that a vector of sizes asks for; unknown elements, and what is no size, become fresh ones. A longer vector than any shape is not looked into. */
export function asked(known: Known, fresh: () => string): Shape | undefined {
  const length = known.value?.length ?? known.shape?.[0]
  if (typeof length !== 'number' || length > longest) return undefined
  const size = (i: number): Dim => {
    const dim = known.value?.[i]
    return dim === undefined || (typeof dim === 'number' && dim < 0) ? fresh() : dim
  }
  return Array.from({ length }, (_, i) => size(i))
}

const constantOfShape: ShapeRule = (node, inputs, context) => {
  const fill = tensorAttribute(node, 'value')
  const { type = 'float32', value } = fill === undefined ? {} : knownConstant(fill)
  const shape = asked(at(inputs, 0), context.fresh)
  const length = shape?.length === 1 ? shape[0] : undefined
  const small = value !== undefined && typeof length === 'number' && length <= longest
  return [{ type, shape, value: small ? new Array<Dim | undefined>(length).fill(value[0]) : undefined }]
}

const range: ShapeRule = (node, inputs, context) => {
  const [start, limit, step] = [0, 1, 2].map((i) => at(inputs, i).value?.[0])
  const { type } = at(inputs, 0)
  if (typeof start === 'number' && typeof limit === 'number' && typeof step === 'number' && step !== 0)
    return [{ type, shape: [Math.max(0, Math.ceil((limit - start) / step))] }]
  const length = start === 0 && step === 1 && limit !== undefined ? limit : context.fresh(`range of ${nodeLabel(node)}`)
  return [{ type, shape: [length] }]
}

export const constantRules: ShapeRules = {
  Constant: constant,
  Shape: shapeOf,
  Size: size,
  ConstantOfShape: constantOfShape,
  Range: range,
}
