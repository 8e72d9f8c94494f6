import { countOf, reshapeLike } from './emit.js'
import type { RuleContext } from './rule.js'

/**
 * The gradient of any op that only moves elements of `x` (a Slice with steps, a reflecting Pad, a Gather): let `move` do to the
 * positions 0, 1, 2, … in the shape of `x` what the op did to its values, then add the cotangent at the positions that come out.
 * Elements that were taken several times add up, elements that were left out get 0.
 */
export function scatterThrough(ctx: RuleContext, x: string, dY: string, move: (positions: string) => string): string {
  return scatterFlat(ctx, x, move(positionsOf(ctx, x)), dY)
}

/** from, from + 1, … in the shape of a forward value, int64. */
export function positionsOf(ctx: RuleContext, value: string, from: string = ctx.b.ints([0])): string {
  const { b } = ctx
  const scalar = (name: string): string => b.op('Squeeze', [name])
  const end = b.op('Add', [from, sizeOf(ctx, value)])
  return reshapeLike(ctx, b.op('Range', [scalar(from), scalar(end), scalar(b.ints([1]))]), value)
}

/** How many elements a forward value has, as 1-D int64 tensor of one. */
export function sizeOf(ctx: RuleContext, value: string): string {
  const count = countOf(ctx, value)
  return typeof count === 'number' ? ctx.b.ints([count]) : count
}

/**
 * As `scatterThrough` for ops that put elements of several forward values together, and zeros between them: `move` gets the
 * positions of each value in the row of all of them, counted from 1, and 0 is nowhere.
 */
export function scatterAmong(
  ctx: RuleContext,
  values: readonly string[],
  dY: string,
  move: (...positions: string[]) => string,
): string[] {
  const { b } = ctx
  const starts = [b.ints([1])]
  for (const value of values) starts.push(b.op('Add', [starts.at(-1)!, sizeOf(ctx, value)]))
  const at = move(...values.map((value, i) => positionsOf(ctx, value, starts[i]!)))
  const flat = (value: string): string => b.op('Reshape', [value, b.ints([-1])])
  const zeros = b.op('Expand', [ctx.scalar(0, values[0]!), starts.at(-1)!])
  const sum = b.op('ScatterElements', [zeros, flat(at), flat(dY)], { axis: 0, reduction: 'add' })
  return values.map((value, i) => reshapeLike(ctx, b.op('Slice', [sum, starts[i]!, starts[i + 1]!]), value))
}

/** Zeros in the shape of `x`, plus each element of `dY` at its position (flat, row-major) in `x`. */
export function scatterFlat(ctx: RuleContext, x: string, positions: string, dY: string): string {
  const { b } = ctx
  const count = countOf(ctx, x)
  const size = typeof count === 'number' ? b.ints([count]) : count
  const flat = (value: string): string => b.op('Reshape', [value, b.ints([-1])])
  const zeros = b.op('Expand', [ctx.scalar(0, x), size])
  const sum = b.op('ScatterElements', [zeros, flat(positions), flat(dY)], { axis: 0, reduction: 'add' })
  return reshapeLike(ctx, sum, x)
}
