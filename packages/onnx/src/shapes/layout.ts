import { ShapeError } from '@imago/tensor'
import { intAttribute, intsAttribute, nodeLabel } from '../attributes.js'
import { addDim, divDim, mulDim, productDim } from '../dim.js'
import type { Dim, Node, Shape } from '../ir.js'
import { broadcast } from './broadcast.js'
import { asked } from './constant.js'
import { at, axisOf, dimAt, hasInput, type Known, numbers, type ShapeRule, type ShapeRules } from './rule.js'

/** An int list that newer opsets give as input `i`, older ones as an attribute. */
function list(node: Node, inputs: readonly Known[], i: number, name: string): Known['value'] {
  return hasInput(node, i) ? at(inputs, i).value : intsAttribute(node, name, undefined)
}

const reshape: ShapeRule = (node, inputs, context) => {
  const { type, shape, value } = at(inputs, 0)
  const target = hasInput(node, 1) ? at(inputs, 1).value : intsAttribute(node, 'shape', undefined)
  if (target === undefined) return [{ type, shape: asked(at(inputs, 1), context.fresh) }]
  const zeroCopies = intAttribute(node, 'allowzero', 0) === 0
  const sizes = target.map((dim, i) => (dim === 0 && zeroCopies ? (shape?.[i] ?? context.fresh()) : dim))
  // One size may be left open, by −1 or because it is not known here: the others and the element count decide it.
  const open = sizes.flatMap((dim, i) => (dim === undefined || dim === -1 ? [i] : []))
  const known = sizes.filter((dim): dim is Dim => dim !== undefined && dim !== -1)
  const total = shape && productDim(shape)
  if (open.length === 0) checkCount(node, total, known)
  const rest = open.length === 1 && total !== undefined ? divDim(total, productDim(known)) : undefined
  if (
    open.length === 1 &&
    rest === undefined &&
    typeof total === 'number' &&
    known.every((dim) => typeof dim === 'number')
  )
    if (productDim(known) !== 0) checkCount(node, total, [...known, Math.floor(total / Number(productDim(known)))])
  const result = sizes.map((dim, i) =>
    open.includes(i)
      ? (rest ?? context.fresh(total === undefined ? undefined : `${total} / ${productDim(known)}`))
      : dim!,
  )
  return [{ type, shape: result, value: result.length <= 1 ? value : undefined }]
}

function checkCount(node: Node, total: Dim | undefined, sizes: Shape): void {
  const wanted = productDim(sizes)
  if (typeof total === 'number' && typeof wanted === 'number' && total !== wanted)
    throw new ShapeError(
      nodeLabel(node),
      node.inputs[0] ?? '',
      `${wanted} elements for [${sizes.join(', ')}]`,
      `${total}`,
    )
}

const flatten: ShapeRule = (node, inputs) => {
  const { type, shape } = at(inputs, 0)
  if (shape === undefined) return [{ type }]
  const given = intAttribute(node, 'axis', 1)
  const axis = given === shape.length ? given : axisOf(node, given, shape.length)
  return [{ type, shape: [productDim(shape.slice(0, axis)), productDim(shape.slice(axis))] }]
}

const transpose: ShapeRule = (node, inputs) => {
  const { type, shape } = at(inputs, 0)
  if (shape === undefined) return [{ type }]
  const order = intsAttribute(node, 'perm', undefined) ?? [...shape.keys()].reverse()
  if (new Set(order).size !== shape.length || order.some((i) => shape[i] === undefined))
    throw new ShapeError(nodeLabel(node), 'perm', `an order of ${shape.length} axes`, `[${order.join(', ')}]`)
  return [{ type, shape: order.map((i) => dimAt(shape, i)) }]
}

const squeeze: ShapeRule = (node, inputs) => {
  const { type, shape, value } = at(inputs, 0)
  if (shape === undefined) return [{ type }]
  const given = numbers(list(node, inputs, 1, 'axes'))
  if (given === undefined && (hasInput(node, 1) || shape.some((dim) => typeof dim !== 'number'))) return [{ type }]
  const axes = new Set(
    given?.map((axis) => axisOf(node, axis, shape.length)) ?? shape.flatMap((dim, i) => (dim === 1 ? [i] : [])),
  )
  return [{ type, shape: shape.filter((_, i) => !axes.has(i)), value }]
}

const unsqueeze: ShapeRule = (node, inputs) => {
  const { type, shape, value } = at(inputs, 0)
  const given = numbers(list(node, inputs, 1, 'axes'))
  if (shape === undefined || given === undefined) return [{ type }]
  const rank = shape.length + given.length
  const axes = new Set(given.map((axis) => axisOf(node, axis, rank)))
  let next = 0
  const result = Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : (shape[next++] ?? 1)))
  return [{ type, shape: result, value: rank === 1 ? value : undefined }]
}

const concat: ShapeRule = (node, inputs, context) => {
  const { type } = inputs.find((input) => input.type !== undefined) ?? {}
  const value = inputs.every((input) => input.value !== undefined) ? inputs.flatMap((input) => input.value!) : undefined
  const shapes = inputs.map((input) => input.shape)
  const first = shapes.find((shape) => shape !== undefined)
  if (first === undefined) return [{ type }]
  const axis = axisOf(node, intAttribute(node, 'axis', 1), first.length)
  const known = shapes.filter((shape) => shape !== undefined)
  const result = first.map((_, i): Dim => {
    if (i !== axis) return oneOf(node, known, i)
    if (known.length < shapes.length) return context.fresh()
    const sizes = known.map((shape) => dimAt(shape, i))
    let total: Dim | undefined = 0
    for (const size of sizes) total = total === undefined ? undefined : addDim(total, size)
    return total ?? context.fresh(sizes.map(String).sort().join(' + '))
  })
  return [{ type, shape: result, value: first.length === 1 ? value : undefined }]
}

/** The size that all shapes have at `i`: a number where one knows it. */
function oneOf(node: Node, shapes: readonly Shape[], i: number): Dim {
  const sizes = shapes.map((shape) => shape[i])
  const size = sizes.find((dim) => typeof dim === 'number') ?? sizes[0]
  if (size === undefined || sizes.some((dim) => dim === undefined || (typeof dim === 'number' && dim !== size)))
    throw new ShapeError(nodeLabel(node), 'inputs', `equal sizes along axis ${i}`, sizes.join(' and '))
  return size
}

const split: ShapeRule = (node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  const count = node.outputs.length
  if (shape === undefined) return node.outputs.map(() => ({ type }))
  const axis = axisOf(node, intAttribute(node, 'axis', 0), shape.length)
  const sizes = list(node, inputs, 1, 'split')
  const whole = dimAt(shape, axis)
  const part = (i: number): Dim => {
    if (sizes !== undefined) return sizes[i] ?? context.fresh()
    if (hasInput(node, 1)) return context.fresh()
    if (typeof whole !== 'number') return divDim(whole, count) ?? context.fresh()
    const chunk = Math.ceil(whole / count)
    return Math.max(0, Math.min(chunk, whole - i * chunk))
  }
  return node.outputs.map((_, i) => ({ type, shape: shape.map((dim, j) => (j === axis ? part(i) : dim)) }))
}

const slice: ShapeRule = (node, inputs, context) => {
  const { type, shape, value } = at(inputs, 0)
  if (shape === undefined) return [{ type }]
  const starts = list(node, inputs, 1, 'starts')
  const ends = list(node, inputs, 2, 'ends')
  const axes = hasInput(node, 3) || node.attributes.has('axes') ? numbers(list(node, inputs, 3, 'axes')) : undefined
  if (axes === undefined && (hasInput(node, 3) || (starts ?? ends) === undefined))
    return [{ type, shape: shape.map(() => context.fresh()) }]
  const sliced = (axes ?? [...(starts ?? ends)!.keys()]).map((axis) => axisOf(node, axis, shape.length))
  const result = [...shape]
  let picked = value
  for (const [i, axis] of sliced.entries()) {
    const step = hasInput(node, 4) ? at(inputs, 4).value?.[i] : 1
    const range = cut(dimAt(shape, axis), starts?.[i], ends?.[i], step, context)
    result[axis] = range.size
    picked = range.indices && picked && range.indices.map((j) => picked?.[j])
  }
  return [{ type, shape: result, value: shape.length === 1 ? picked : undefined }]
}

/** The size of start:end:step, and which indices that picks where all is known. */
function cut(
  size: Dim,
  start: Dim | undefined,
  end: Dim | undefined,
  step: Dim | undefined,
  context: { fresh(key?: string): string },
): { size: Dim; indices?: readonly number[] } {
  const far = 2 ** 31 - 1
  if (typeof size !== 'number') {
    if (start === 0 && step === 1 && (end === size || (typeof end === 'number' && end >= far))) return { size }
    const all = step === -1 && typeof start === 'number' && typeof end === 'number' && (start === -1 || start >= far)
    if (all && (end as number) <= -far) return { size }
    const told = start !== undefined && end !== undefined && step !== undefined
    return { size: context.fresh(told ? `${size}[${start}:${end}:${step}]` : undefined) }
  }
  if (typeof start !== 'number' || typeof end !== 'number' || typeof step !== 'number' || step === 0)
    return { size: context.fresh() }
  const bound = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x < 0 ? x + size : x))
  const from = step > 0 ? bound(start, 0, size) : bound(start, 0, size - 1)
  const to = step > 0 ? bound(end, 0, size) : bound(end, -1, size - 1)
  const length = Math.max(0, Math.ceil((to - from) / step))
  if (length > 64) return { size: length }
  return { size: length, indices: Array.from({ length }, (_, i) => from + i * step) }
}

const gather: ShapeRule = (node, inputs) => {
  const { type, shape, value } = at(inputs, 0)
  const indices = at(inputs, 1)
  if (shape === undefined || indices.shape === undefined) return [{ type }]
  const axis = axisOf(node, intAttribute(node, 'axis', 0), shape.length)
  const result = [...shape.slice(0, axis), ...indices.shape, ...shape.slice(axis + 1)]
  const picked = indices.value?.map((i) =>
    typeof i === 'number' ? value?.[i < 0 ? i + (value.length ?? 0) : i] : undefined,
  )
  return [{ type, shape: result, value: value && shape.length === 1 ? picked : undefined }]
}

const likeIndices: ShapeRule = (_node, inputs) => [{ type: at(inputs, 0).type, shape: at(inputs, 1).shape }]

const expand: ShapeRule = (node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  return [{ type, shape: broadcast(node, [shape, asked(at(inputs, 1), context.fresh)], context) }]
}

const pad: ShapeRule = (node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  if (shape === undefined) return [{ type }]
  const pads = list(node, inputs, 1, 'pads') ?? intsAttribute(node, 'paddings', undefined)
  const given = hasInput(node, 3) ? numbers(at(inputs, 3).value) : [...shape.keys()]
  if (given === undefined) return [{ type, shape: shape.map(() => context.fresh()) }]
  const axes = given.map((axis) => axisOf(node, axis, shape.length))
  const result = shape.map((dim, i): Dim => {
    const j = axes.indexOf(i)
    if (j < 0) return dim
    const begin = pads?.[j]
    const end = pads?.[j + axes.length]
    if (typeof begin !== 'number' || typeof end !== 'number') return context.fresh()
    return addDim(dim, begin + end) ?? context.fresh(`${dim} + ${begin + end}`)
  })
  return [{ type, shape: result }]
}

const tile: ShapeRule = (_node, inputs, context) => {
  const { type, shape } = at(inputs, 0)
  const repeats = at(inputs, 1).value
  return [
    { type, shape: shape?.map((dim, i) => (repeats?.[i] === undefined ? context.fresh() : mulDim(dim, repeats[i]))) },
  ]
}

const oneHot: ShapeRule = (node, inputs, context) => {
  const { shape } = at(inputs, 0)
  const { type } = at(inputs, 2)
  if (shape === undefined) return [{ type }]
  const axis = axisOf(node, intAttribute(node, 'axis', -1), shape.length + 1)
  const depth = at(inputs, 1).value?.[0] ?? context.fresh()
  return [{ type, shape: [...shape.slice(0, axis), depth, ...shape.slice(axis)] }]
}

export const layoutRules: ShapeRules = {
  Reshape: reshape,
  Flatten: flatten,
  Transpose: transpose,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherElements: likeIndices,
  Expand: expand,
  Pad: pad,
  Tile: tile,
  OneHot: oneHot,
}
