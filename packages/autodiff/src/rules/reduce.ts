import { intAttribute, intsAttribute, type Node } from '@imago/onnx'
import { axisOf, constantInts, range } from '../axes.js'
import { countAsFloat, expandLike, mask } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'

/** One reduction: which axes went, and values with these axes kept at size 1. */
interface Reduction {
  readonly ctx: RuleContext
  readonly x: string
  readonly axes: readonly number[]
  /** The cotangent, reduced axes kept as 1. */
  readonly dY: string
  /** The output, reduced axes kept as 1. */
  y(): string
  op(op: string, ...operands: (string | number)[]): string
  /** Σ over the reduced axes, kept as 1. */
  sum(value: string): string
}

function reduction(gradient: (reduction: Reduction) => string): Rule {
  return (node, ctx, [dY]) => {
    const { b } = ctx
    const x = node.inputs[0]!
    const axes = reducedAxes(node, ctx)
    if (axes.length === 0) return [dY]
    const kept = intAttribute(node, 'keepdims', 1) === 1
    const keep = (value: string): string => (kept ? value : b.op('Unsqueeze', [value, b.ints(axes)]))
    const op: Reduction['op'] = (name, ...operands) =>
      b.op(
        name,
        operands.map((operand) => (typeof operand === 'number' ? ctx.scalar(operand, x) : operand)),
      )
    const sum = (value: string): string => b.op('ReduceSum', [value, b.ints(axes)], { keepdims: 1 })
    return [gradient({ ctx, x, axes, dY: keep(dY!), y: () => keep(node.outputs[0]!), op, sum })]
  }
}

/** Axes are an attribute in older opsets and an input in newer ones; none means all, or none with `noop_with_empty_axes`. */
function reducedAxes(node: Node, ctx: RuleContext): number[] {
  const rank = ctx.ranked(node.inputs[0]!).length
  const input = node.inputs[1]
  const given = input ? constantInts(ctx, input) : intsAttribute(node, 'axes', undefined)
  if (input && given === undefined) ctx.refuse(`its axes "${input}" are computed; fold constants first`)
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

export const reduce: RuleTable = {
  ReduceSum: reduction(({ ctx, x, axes, dY }) => expandLike(ctx, dY, x, axes)),
  ReduceMean: reduction(({ ctx, x, axes, dY, op }) =>
    expandLike(ctx, op('Div', dY, countAsFloat(ctx, x, axes)), x, axes),
  ),
  ReduceMax: extreme,
  ReduceMin: extreme,
  ReduceL1: reduction(({ x, dY, op }) => op('Mul', op('Sign', x), dY)),
  ReduceL2: euclidean,
  ReduceSumSquare: reduction(({ x, dY, op }) => op('Mul', op('Mul', x, 2), dY)),
  ReduceLogSumExp: reduction(({ x, dY, y, op }) => op('Mul', op('Exp', op('Sub', x, y())), dY)),
}
