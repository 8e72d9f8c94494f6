import { type Builder, equalDim, equalShape, type Shape, typeCode } from '@imago/onnx'
import { range } from './axes.js'
import type { RuleContext } from './rule.js'

/**
 * Sum a cotangent over the axes that broadcasting stretched: from the shape of the result `from` back to the shape of the
 * operand `to` (both forward values). Which axes these are is told from the symbolic shapes; where it cannot be, from the shapes at run time.
 */
export function unbroadcast(ctx: RuleContext, cotangent: string, from: string, to: string): string {
  const source = ctx.shape(from)
  const target = ctx.shape(to)
  if (equalShape(source, target)) return cotangent
  if (source === undefined || target === undefined) return sumAtRunTime(ctx, cotangent, to)
  const lead = source.length - target.length
  const axes = range(lead)
  for (const [i, dim] of target.entries()) {
    const stretched = source[lead + i]!
    if (dim === 1) {
      if (stretched !== 1) axes.push(lead + i)
    } else if (typeof dim !== 'number' && !equalDim(dim, stretched)) return sumAtRunTime(ctx, cotangent, to)
  }
  if (axes.length === 0) return cotangent
  const leading = axes.length === lead
  const sum = ctx.b.op('ReduceSum', [cotangent, ctx.b.ints(axes)], { keepdims: leading ? 0 : 1 })
  return leading || lead === 0 ? sum : ctx.b.op('Squeeze', [sum, ctx.b.ints(range(lead))])
}

/** As `unbroadcast`, the axes being those where the two run-time shapes differ. */
function sumAtRunTime({ b, shapeOf }: RuleContext, cotangent: string, to: string): string {
  const wide = b.op('Shape', [cotangent])
  const narrow = shapeOf(to)
  const missing = b.op('Sub', [b.op('Shape', [wide]), b.op('Shape', [narrow])])
  const padded = b.op('Concat', [b.op('Expand', [b.ints([1]), missing]), narrow], { axis: 0 })
  const differ = b.op('Not', [b.op('Equal', [wide, padded])])
  const axes = b.op('Reshape', [b.op('NonZero', [differ]), b.ints([-1])])
  const sum = b.op('ReduceSum', [cotangent, axes], { keepdims: 1, noop_with_empty_axes: 1 })
  return b.op('Reshape', [sum, narrow])
}

/** Give `value` (a backward value of as many elements) the run-time shape of a forward value. */
export function reshapeLike(ctx: RuleContext, value: string, like: string): string {
  const shape = ctx.shape(like)
  const open = shape?.filter((dim) => typeof dim !== 'number').length ?? 2
  const target =
    shape !== undefined && open <= 1 && !shape.includes(0)
      ? ctx.b.ints(shape.map((dim) => (typeof dim === 'number' ? dim : -1)))
      : ctx.shapeOf(like)
  return ctx.b.op('Reshape', [value, target])
}

/** Stretch `value`, which has size 1 on `axes` and the sizes of the forward value `like` elsewhere, to the shape of `like`. */
export function expandLike(ctx: RuleContext, value: string, like: string, axes: readonly number[]): string {
  const shape = ctx.shape(like)
  // Expand broadcasts both ways, so 1 stands for every axis that has its size already, whatever that is at run time.
  const target = shape?.map((dim, i) => (axes.includes(i) ? dim : 1))
  if (target?.every((dim) => dim === 1)) return value
  const sizes = staticSizes(target)
  return ctx.b.op('Expand', [value, sizes === undefined ? ctx.shapeOf(like) : ctx.b.ints(sizes)])
}

/** Zeros in the shape and type of a forward value. */
export function zerosLike(ctx: RuleContext, like: string): string {
  return ctx.b.op('Expand', [ctx.scalar(0, like), ctx.shapeOf(like)])
}

/** How many elements the forward value has along `axes` (all, if left out): a number, or the name of a 1-D int64 tensor of one. */
export function countOf(ctx: RuleContext, value: string, axes?: readonly number[]): number | string {
  const shape = ctx.shape(value)
  if (shape !== undefined) {
    const along = staticSizes(axes === undefined ? shape : axes.map((axis) => shape[axis]!))
    if (along !== undefined) return along.reduce((product, dim) => product * dim, 1)
  }
  const sizes = ctx.shapeOf(value)
  const along = axes === undefined ? sizes : ctx.b.op('Gather', [sizes, ctx.b.ints(axes)], { axis: 0 })
  return ctx.b.op('ReduceProd', [along], { keepdims: 1 })
}

/** `countOf` as a float in the type of the value, for means. */
export function countAsFloat(ctx: RuleContext, value: string, axes?: readonly number[]): string {
  const count = countOf(ctx, value, axes)
  return typeof count === 'number'
    ? ctx.scalar(count, value)
    : ctx.b.op('Cast', [count], { to: typeCode(ctx.type(value)) })
}

/** `condition` (bool) as 0 and 1 of the type of `like`. */
export function mask(ctx: RuleContext, condition: string, like: string): string {
  return ctx.b.op('Cast', [condition], { to: typeCode(ctx.type(like)) })
}

/** The sizes, if all of them are numbers. */
export function staticSizes(shape: Shape | undefined): readonly number[] | undefined {
  return shape?.every((dim) => typeof dim === 'number') ? (shape as readonly number[]) : undefined
}

/** The sum of everything that flowed back to a value; emitted once. */
export function sumOf(value: string, cotangents: Map<string, string[]>, b: Builder): string | undefined {
  const parts = cotangents.get(value)
  if (parts === undefined || parts.length <= 1) return parts?.[0]
  const sum = b.op(parts.length === 2 ? 'Add' : 'Sum', parts)
  cotangents.set(value, [sum])
  return sum
}

/** Backward nodes as formulas; numbers are constants of the type of `like`. */
export function formulas(ctx: RuleContext, like: string): (op: string, ...operands: (string | number)[]) => string {
  return (name, ...operands) =>
    ctx.b.op(
      name,
      operands.map((operand) => (typeof operand === 'number' ? ctx.scalar(operand, like) : operand)),
    )
}
