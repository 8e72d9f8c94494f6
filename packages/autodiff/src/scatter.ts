import { countOf, reshapeLike } from './emit.js'
import type { RuleContext } from './rule.js'

/**
 * The gradient of any op that only moves elements of `x` (a Slice with steps, a reflecting Pad, a Gather): let `move` do to the
 * positions 0, 1, 2, … in the shape of `x` what the op did to its values, then add the cotangent at the positions that come out.
 * Elements that were taken several times add up, elements that were left out get 0.
 */
export function scatterThrough(ctx: RuleContext, x: string, dY: string, move: (positions: string) => string): string {
  const { b } = ctx
  const count = countOf(ctx, x)
  const size = typeof count === 'number' ? b.ints([count]) : count
  const scalar = (value: string): string => b.op('Squeeze', [value])
  const line = b.op('Range', [scalar(b.ints([0])), scalar(size), scalar(b.ints([1]))])
  return scatterFlat(ctx, x, move(reshapeLike(ctx, line, x)), dY)
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
