import { type AttributeValue, float, intsAttribute, type Node, stringAttribute, typeCode } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { axisOf, range } from '../axes.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'
import { resized } from './resized.js'

/**
 * Resize takes one axis at a time, and along an axis it is a matrix: the op itself, given the rows of an identity, says which. The
 * gradient multiplies by the transposed matrices. So every mode of coordinates, of interpolation and of rounding is served.
 */
const resize: Rule = (node, ctx, cotangents) => {
  const [dY] = cotangents
  const x = node.inputs[0]!
  // The nearest element stays the nearest when a scale or a corner moves a little.
  const moves = stringAttribute(node, 'mode', 'nearest') !== 'nearest'
  if (moves && (ctx.needs(1) || ctx.needs(2))) return ctx.replay(cotangents, () => [resized(node, ctx)])
  const rank = ctx.ranked(x).length
  const axes = intsAttribute(node, 'axes', range(rank)).map((axis) => axisOf(axis, rank))
  let gradient = dY!
  for (const [i, axis] of axes.entries()) {
    const [size, made] = [ctx.ranked(x)[axis], ctx.shape(node.outputs[0]!)?.[axis]]
    // An axis that keeps its size is left alone, but where a crop could shift it.
    if (size === made && size !== '?' && !isCrop(node) && keeps(node, ctx, i)) continue
    if (typeof size !== 'number')
      return ctx.refuse(
        `the size ${size} of the axis ${axis} that it resizes is open; fix it (the batch may stay open)`,
      )
    gradient = alongAxis(ctx, gradient, responses(node, ctx, i, size, axes), axis, rank)
  }
  return [gradient, null, null, null]
}

function isCrop(node: Node): boolean {
  return stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize'
}

/** Whether the i-th scale is 1 for all that is known (a size that comes out the same may still be read at other places). */
function keeps(node: Node, ctx: RuleContext, i: number): boolean {
  const scales = node.inputs[2]
  if (!scales) return stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch') === 'stretch'
  return ctx.constant(scales)?.data[i] === 1
}

/** [size, output size]: what each input position gives, along the i-th of the resized axes. */
function responses(node: Node, ctx: RuleContext, i: number, size: number, axes: readonly number[]): string {
  const { b } = ctx
  const [, roi, scales, sizes] = node.inputs as [string, string?, string?, string?]
  const eye = new Float32Array(size * size)
  for (let at = 0; at < size; at++) eye[at * size + at] = 1
  const rows = b.constant(tensor('float32', [size, 1, 1, size], eye))
  const one = (list: string, at: number): string => b.op('Slice', [list, b.ints([at]), b.ints([at + 1]), b.ints([0])])
  const attributes: { [name: string]: AttributeValue } = { ...Object.fromEntries(node.attributes) }
  delete attributes.axes
  delete attributes.keep_aspect_ratio_policy
  // What lies outside a crop is constant.
  if (attributes.extrapolation_value) attributes.extrapolation_value = float(0)
  const region = roi && isCrop(node) ? cropped(ctx, roi, i, axes.length, one) : ''
  const floats = (values: readonly number[]): string =>
    b.constant(tensor('float32', [values.length], Float32Array.from(values)))
  const probe = (): string => {
    if (scales) {
      const scale = b.op('Concat', [floats([1, 1, 1]), one(scales, i)], { axis: 0 })
      return b.op('Resize', [rows, region, scale], attributes)
    }
    const asked = one(sizes!, i)
    const leader = leadingAxis(node, ctx, axes)
    if (leader === undefined || leader === i)
      return b.op('Resize', [rows, region, '', b.op('Concat', [b.ints([size, 1, 1]), asked], { axis: 0 })], attributes)
    // The scale of all axes is that of another one, which comes along: everything is the same along it.
    const other = ctx.ranked(node.inputs[0]!)[axes[leader]!] as number
    const wide = b.op('Expand', [rows, b.ints([1, 1, other, 1])])
    const both = b.op('Concat', [one(sizes!, leader), asked], { axis: 0 })
    const policy = { keep_aspect_ratio_policy: node.attributes.get('keep_aspect_ratio_policy')!, axes: [2, 3] }
    const resized = b.op('Resize', [wide, '', '', both], { ...attributes, ...policy })
    return b.op('Slice', [resized, b.ints([0]), b.ints([1]), b.ints([2])])
  }
  const matrix = b.op('Squeeze', [probe(), b.ints([1, 2])])
  return b.op('Cast', [matrix], { to: typeCode(ctx.type(node.inputs[0]!)) })
}

function cropped(
  ctx: RuleContext,
  roi: string,
  i: number,
  count: number,
  one: (list: string, at: number) => string,
): string {
  const { b } = ctx
  const type = ctx.typeOf(roi) ?? 'float32'
  const floats = (values: readonly number[]): string =>
    type === 'float64'
      ? b.constant(tensor('float64', [values.length], Float64Array.from(values)))
      : b.constant(tensor('float32', [values.length], Float32Array.from(values)))
  return b.op('Concat', [floats([0, 0, 0]), one(roi, i), floats([1, 1, 1]), one(roi, count + i)], { axis: 0 })
}

/** Which of the resized axes sets the scale of all under a policy that keeps the aspect ratio; undefined without one. */
function leadingAxis(node: Node, ctx: RuleContext, axes: readonly number[]): number | undefined {
  const policy = stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch')
  if (policy === 'stretch') return undefined
  const sizes = ctx.constant(node.inputs[3]!)
  const shape = axes.map((axis) => ctx.ranked(node.inputs[0]!)[axis])
  if (sizes === undefined || shape.some((size) => typeof size !== 'number'))
    return ctx.refuse(`its policy ${policy} needs sizes that are known beforehand`)
  const ratios = shape.map((size, i) => Number(sizes.data[i]) / (size as number))
  return ratios.indexOf(policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios))
}

/** The transposed matrix applied along an axis. */
function alongAxis(ctx: RuleContext, value: string, matrix: string, axis: number, rank: number): string {
  const { b } = ctx
  if (axis === rank - 2) return b.op('MatMul', [matrix, value])
  const turned = b.op('Transpose', [matrix], { perm: [1, 0] })
  if (axis === rank - 1) return b.op('MatMul', [value, turned])
  const perm = range(rank)
  perm[axis] = rank - 1
  perm[rank - 1] = axis
  return b.op('Transpose', [b.op('MatMul', [b.op('Transpose', [value], { perm }), turned])], { perm })
}

export const resizing: RuleTable = { Resize: resize }
