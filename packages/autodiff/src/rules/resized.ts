import { floatAttribute, intAttribute, intsAttribute, type Node, stringAttribute } from '@imago/onnx'
import { type Tensor, tensor } from '@imago/tensor'
import { axisOf, range } from '../axes.js'
import { formulas } from '../emit.js'
import type { RuleContext } from '../rule.js'

type Op = ReturnType<typeof formulas>

/**
 * The output of a linear or cubic Resize by formulas, for gradients with respect to its scales or its region: along each axis the
 * product with a matrix of weights, the kernel at the distance of each input element from each output element's place.
 */
export function resized(node: Node, ctx: RuleContext): string {
  const { b } = ctx
  const [x, , scales] = node.inputs as [string, string?, string?]
  const rank = ctx.ranked(x).length
  const axes = intsAttribute(node, 'axes', range(rank)).map((axis) => axisOf(axis, rank))
  if (stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch')
    return ctx.refuse('gradients of its scales or region under a policy that keeps the aspect ratio are not made')
  let value = x
  for (const [i, axis] of axes.entries()) {
    const [size, made] = [ctx.ranked(x)[axis], ctx.shape(node.outputs[0]!)?.[axis]]
    if (typeof size !== 'number' || typeof made !== 'number')
      return ctx.refuse(
        `the size ${size} or ${made} of its axis ${axis} is open; fix it, or leave its scales and region out`,
      )
    const scale = scales ? element(ctx, scales, i) : ctx.scalar(made / size, x)
    const weights = weightsOf(node, ctx, { i, count: axes.length, size, made, scale })
    const perm = range(rank)
    perm[axis] = rank - 1
    perm[rank - 1] = axis
    const product = b.op('MatMul', [b.op('Transpose', [value], { perm }), weights])
    value = b.op('Transpose', [product], { perm })
  }
  return value
}

interface Axis {
  /** Place among the resized axes, and how many of these there are. */
  readonly i: number
  readonly count: number
  readonly size: number
  readonly made: number
  readonly scale: string
}

function element(ctx: RuleContext, list: string, at: number): string {
  const { b } = ctx
  const one = b.op('Slice', [list, b.ints([at]), b.ints([at + 1]), b.ints([0])])
  return b.op('CastLike', [b.op('Squeeze', [one, b.ints([0])]), ctx.scalar(0, list)])
}

/** [size, made] */
function weightsOf(node: Node, ctx: RuleContext, along: Axis): string {
  const x = node.inputs[0]!
  const op = formulas(ctx, x)
  const { size, made, scale } = along
  const place = placesOf(node, ctx, along, op)
  const wide = intAttribute(node, 'antialias', 0) === 1
  const kernel = kernelOf(node, op)
  const inside = op('And', op('GreaterOrEqual', place, 0), op('LessOrEqual', place, size - 1))
  const cropped = (weights: string): string =>
    stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize'
      ? op('Where', inside, weights, 0)
      : weights
  const whole = (weights: string): string =>
    op('Div', weights, ctx.b.op('ReduceSum', [weights, ctx.b.ints([0])], { keepdims: 1 }))
  const narrow = wide ? op('Min', scale, 1) : undefined
  const at = (from: number, count: number, places: string): string => {
    const distance = op('Sub', column(ctx, x, from, count), places)
    return kernel(narrow === undefined ? distance : op('Mul', distance, narrow))
  }
  if (intAttribute(node, 'exclude_outside', 0) === 1) return cropped(whole(at(0, size, place)))
  if (!wide && stringAttribute(node, 'mode', 'nearest') === 'linear')
    return cropped(at(0, size, op('Min', op('Max', place, 0), size - 1)))
  // Elements beyond the edge are the edge's: their weights are added to it.
  const reach = 2 * Math.ceil(size / made) + 4
  const beyond = at(-reach, size + 2 * reach, place)
  return cropped(ctx.b.op('MatMul', [edges(ctx, x, size, reach, size + 2 * reach), wide ? whole(beyond) : beyond]))
}

/** Where each output element lies in the input, [made]. */
function placesOf(node: Node, ctx: RuleContext, { i, count, size, made, scale }: Axis, op: Op): string {
  const x = node.inputs[0]!
  const at = row(ctx, x, made)
  const half = (): string => op('Sub', op('Div', op('Add', at, 0.5), scale), 0.5)
  const mode = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel')
  if (mode === 'half_pixel') return half()
  if (mode === 'pytorch_half_pixel') return made > 1 ? half() : op('Mul', half(), 0)
  if (mode === 'asymmetric') return op('Div', at, scale)
  if (mode === 'half_pixel_symmetric') {
    const adjustment = op('Div', made, op('Mul', scale, size))
    return op('Add', op('Mul', op('Sub', 1, adjustment), size / 2), half())
  }
  // As ONNX says: the corner is where the scale puts it. (ONNX Runtime takes the whole output size, the same for whole scales.)
  if (mode === 'align_corners')
    return made > 1 ? op('Div', op('Mul', at, size - 1), op('Sub', op('Mul', scale, size), 1)) : op('Mul', at, 0)
  if (mode !== 'tf_crop_and_resize') return ctx.refuse(`its coordinates "${mode}" are not known`)
  const [start, end] = [element(ctx, node.inputs[1]!, i), element(ctx, node.inputs[1]!, count + i)]
  if (made === 1) return op('Add', op('Mul', op('Add', start, end), (size - 1) / 2), op('Mul', at, 0))
  const step = op('Mul', op('Sub', end, start), (size - 1) / (made - 1))
  return op('Add', op('Mul', start, size - 1), op('Mul', at, step))
}

/** The weight at a distance: a hat, or the cubic convolution (Keys 1981). */
function kernelOf(node: Node, op: Op): (distance: string) => string {
  if (stringAttribute(node, 'mode', 'nearest') === 'linear')
    return (distance) => op('Max', op('Sub', 1, op('Abs', distance)), 0)
  const A = floatAttribute(node, 'cubic_coeff_a', -0.75)
  return (distance) => {
    const d = op('Abs', distance)
    const square = op('Mul', d, d)
    const near = op('Add', op('Mul', square, op('Sub', op('Mul', d, A + 2), A + 3)), 1)
    const far = op('Sub', op('Mul', d, op('Add', op('Mul', d, op('Sub', op('Mul', d, A), 5 * A)), 8 * A)), 4 * A)
    return op('Where', op('LessOrEqual', d, 1), near, op('Where', op('Less', d, 2), far, 0))
  }
}

function numbers(ctx: RuleContext, like: string, dims: readonly number[], values: readonly number[]): string {
  const value: Tensor =
    ctx.type(like) === 'float64'
      ? tensor('float64', dims, Float64Array.from(values))
      : tensor('float32', dims, Float32Array.from(values))
  return ctx.b.constant(value)
}

function row(ctx: RuleContext, like: string, count: number): string {
  return numbers(ctx, like, [count], range(count))
}

/** from, from + 1, … as [count, 1]. */
function column(ctx: RuleContext, like: string, from: number, count: number): string {
  return numbers(
    ctx,
    like,
    [count, 1],
    range(count).map((i) => from + i),
  )
}

/** [size, wide]: which element an element of a wider row stands for, the row beginning `before` elements before the first. */
function edges(ctx: RuleContext, like: string, size: number, before: number, wide: number): string {
  const values = range(size * wide).map((i) => {
    const stands = Math.min(size - 1, Math.max(0, (i % wide) - before))
    return stands === Math.floor(i / wide) ? 1 : 0
  })
  return numbers(ctx, like, [size, wide], values)
}
