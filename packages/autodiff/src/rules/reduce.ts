import { intAttribute, intsAttribute, type Node, typeCode } from '@imago/onnx'
import { axisOf, constantInts, range } from '../axes.js'
import { countAsFloat, countOf, expandLike, formulas, mask } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'

/** One reduction: which axes went, and values with these axes kept at size 1. */
interface Reduction {
  readonly ctx: RuleContext
  readonly node: Node
  readonly x: string
  /** The cotangent, reduced axes kept as 1. */
  readonly dY: string
  /** The output, reduced axes kept as 1. */
  y(): string
  op(op: string, ...operands: (string | number)[]): string
  /** Σ over the reduced axes, kept as 1. */
  sum(value: string): string
  /** How many elements each sum is over: a number, or a scalar of the type of x. */
  count(): number | string
  /** A value with the reduced axes kept as 1, stretched to the shape of x. */
  expand(value: string): string
}

function reduction(gradient: (reduction: Reduction) => string): Rule {
  return (node, ctx, [dY]) => {
    const { b } = ctx
    const x = node.inputs[0]!
    const axes = reducedAxes(node, ctx)
    if (Array.isArray(axes) && axes.length === 0) return [dY]
    const named = Array.isArray(axes) ? b.ints(axes) : (axes as string)
    const kept = intAttribute(node, 'keepdims', 1) === 1
    const keep = (value: string): string => (kept ? value : b.op('Unsqueeze', [value, named]))
    const noop = Array.isArray(axes) ? {} : { noop_with_empty_axes: intAttribute(node, 'noop_with_empty_axes', 0) }
    return [
      gradient({
        ...{ ctx, node, x, dY: keep(dY!), op: formulas(ctx, x) },
        y: () => keep(node.outputs[0]!),
        sum: (value) => b.op('ReduceSum', [value, named], { keepdims: 1, ...noop }),
        count: () => (Array.isArray(axes) ? countAsFloat(ctx, x, axes) : ratio(ctx, x, node.outputs[0]!)),
        expand: (value) =>
          Array.isArray(axes) ? expandLike(ctx, value, x, axes) : b.op('Expand', [value, ctx.shapeOf(x)]),
      }),
      null,
    ]
  }
}

/** How many elements of x there are for each of y. */
function ratio(ctx: RuleContext, x: string, y: string): string {
  const [all, left] = [x, y].map((value) => {
    const count = countOf(ctx, value)
    return typeof count === 'number' ? ctx.b.ints([count]) : count
  }) as [string, string]
  return ctx.b.op('Cast', [ctx.b.op('Div', [all, left])], { to: typeCode(ctx.type(x)) })
}

/**
 * Axes are an attribute in older opsets and an input in newer ones; none means all, or none with `noop_with_empty_axes`. The
 * name of the input where they are known only when it runs.
 */
function reducedAxes(node: Node, ctx: RuleContext): number[] | string {
  const input = node.inputs[1]
  const given = input ? constantInts(ctx, input) : intsAttribute(node, 'axes', undefined)
  if (input && given === undefined) return input
  const rank = ctx.ranked(node.inputs[0]!).length
  if (given !== undefined && given.length > 0) return given.map((axis) => axisOf(axis, rank)).sort((p, q) => p - q)
  return intAttribute(node, 'noop_with_empty_axes', 0) === 1 ? [] : range(rank)
}

/** Everything that ties for the extreme value shares the cotangent. */
const extreme = reduction(({ ctx, x, dY, y, op, sum }) => {
  const hit = mask(ctx, op('Equal', x, y()), x)
  return op('Mul', hit, op('Div', dY, sum(hit)))
})

/** Where the norm is 0 its slope is taken as 0. */
const euclidean = reduction(({ x, dY, y, op }) => {
  const norm = y()
  const safe = op('Where', op('Equal', norm, 0), 1, norm)
  return op('Mul', x, op('Div', dY, safe))
})

/**
 * y = Π x, whose slope is the product of the others: y/x, and where an element is 0 the product of those that are not, if it is
 * the only one.
 */
const product = reduction(({ ctx, node, x, dY, op, sum }) => {
  const isZero = op('Equal', x, 0)
  const others = op('Where', isZero, 1, x)
  const rest = ctx.b.op('ReduceProd', [others, ...node.inputs.slice(1)], {
    ...Object.fromEntries(node.attributes),
    keepdims: 1,
  })
  const zeros = sum(mask(ctx, isZero, x))
  const atZero = op('Where', op('Equal', zeros, 1), rest, 0)
  const elsewhere = op('Where', op('Equal', zeros, 0), op('Div', rest, others), 0)
  return op('Mul', dY, op('Where', isZero, atZero, elsewhere))
})

export const reduce: RuleTable = {
  ReduceSum: reduction(({ dY, expand }) => expand(dY)),
  ReduceMean: reduction(({ dY, op, count, expand }) => expand(op('Div', dY, count()))),
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceProd: product,
  ReduceL1: reduction(({ x, dY, op }) => op('Mul', op('Sign', x), dY)),
  ReduceL2: euclidean,
  ReduceSumSquare: reduction(({ x, dY, op }) => op('Mul', op('Mul', x, 2), dY)),
  ReduceLogSum: reduction(({ dY, y, op, expand }) => expand(op('Div', dY, op('Exp', y())))),
  ReduceLogSumExp: reduction(({ x, dY, y, op }) => op('Mul', op('Exp', op('Sub', x, y())), dY)),
}
