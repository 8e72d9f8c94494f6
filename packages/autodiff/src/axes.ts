import type { Node } from '@imago/onnx'
import { intAttribute } from '@imago/onnx'
import type { RuleContext } from './rule.js'

/** An axis in [0, rank). */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

/** 0, 1, …, count−1. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

/** The order of axes that undoes `permutation`. */
export function inverse(permutation: readonly number[]): number[] {
  const undo = new Array<number>(permutation.length)
  for (const [to, from] of permutation.entries()) undo[from] = to
  return undo
}

/** The order that swaps the last two of `rank` axes. */
export function swapLast(rank: number): number[] {
  return [...range(rank - 2), rank - 1, rank - 2]
}

/** Whole numbers behind an optional constant input (axes, pads, starts …); undefined where it is absent or not constant. */
export function constantInts(ctx: RuleContext, value: string | undefined): number[] | undefined {
  if (value === undefined || value === '') return undefined
  const found = ctx.constant(value)
  return found === undefined ? undefined : Array.from(found.data as ArrayLike<number | bigint>, Number)
}

/** The node's `axis` attribute in [0, rank). */
export function nodeAxis(node: Node, fallback: number, rank: number): number {
  return axisOf(intAttribute(node, 'axis', fallback), rank)
}
