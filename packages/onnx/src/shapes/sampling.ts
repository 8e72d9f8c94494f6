import { intAttribute, intsAttribute, stringAttribute } from '../attributes.js'
import { tensorOf } from '../constant-tensor.js'
import { mulDim } from '../dim.js'
import type { Dim } from '../ir.js'
import { at, axisOf, hasInput, type ShapeRule, type ShapeRules } from './rule.js'

/** Scales (floats) or sizes for some axes or all. */
const resize: ShapeRule = (node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  if (shape === undefined) return [{ type }]
  const axes = intsAttribute(node, 'axes', [...shape.keys()]).map((axis) => axisOf(node, axis, shape.length))
  const given = hasInput(node, 2) ? context.constant(node.inputs[2]!) : undefined
  const scales = given === undefined ? [] : Array.from(tensorOf(given).data as ArrayLike<number>, Number)
  const sizes = at(inputs, 3).value
  const plain = stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch') === 'stretch'
  const result = shape.map((dim, axis): Dim => {
    const i = axes.indexOf(axis)
    if (i < 0) return dim
    const scale = scales[i]
    if (scale !== undefined) return scaled(dim, scale) ?? context.fresh(`floor(${dim} * ${scale})`)
    return (plain ? sizes?.[i] : undefined) ?? context.fresh()
  })
  return [{ type, shape: result }]
}

/** The size rounded down; undefined where it is symbolic and the scale no whole number. */
function scaled(dim: Dim, scale: number): Dim | undefined {
  if (typeof dim === 'number') return Math.floor(Math.fround(dim * Math.fround(scale)))
  return Number.isInteger(scale) ? mulDim(dim, scale) : undefined
}

/** x [N, C, …space], grid [N, …places, D] → [N, C, …places] */
const gridSample: ShapeRule = (_node, inputs) => {
  const { type, shape } = at(inputs, 0)
  const grid = at(inputs, 1).shape
  if (shape === undefined || grid === undefined) return [{ type }]
  return [{ type, shape: [...shape.slice(0, 2), ...grid.slice(1, -1)] }]
}

const spaceToDepth: ShapeRule = (node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  const block = intAttribute(node, 'blocksize', 1)
  if (shape?.length !== 4) return [{ type }]
  const [n, c, ...space] = shape as [Dim, Dim, Dim, Dim]
  const parts = space.map((size) =>
    typeof size === 'number' && Number.isInteger(size / block) ? size / block : context.fresh(`${size} / ${block}`),
  )
  return [{ type, shape: [n, mulDim(c, block * block), ...parts] }]
}

export const samplingRules: ShapeRules = { Resize: resize, GridSample: gridSample, SpaceToDepth: spaceToDepth }
