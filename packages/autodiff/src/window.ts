import { intAttribute, intsAttribute, type Node, stringAttribute } from '@imago/onnx'
import type { RuleContext } from './rule.js'

/** How a kernel slides over the spatial axes of x [N, C, …]. */
export interface Window {
  /** Number of spatial axes. */
  readonly rank: number
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  /** Zeros before each spatial axis, and behind it. */
  readonly before: readonly number[]
  readonly after: readonly number[]
  readonly group: number
}

/** The window of a Conv or pooling node over `x`; automatic padding becomes numbers. */
export function windowOf(node: Node, ctx: RuleContext, x: string, kernel: readonly number[]): Window {
  const rank = kernel.length
  const ones = kernel.map(() => 1)
  const strides = intsAttribute(node, 'strides', ones)
  const dilations = intsAttribute(node, 'dilations', ones)
  const automatic = stringAttribute(node, 'auto_pad', 'NOTSET')
  const group = intAttribute(node, 'group', 1)
  for (const [name, list] of Object.entries({ strides, dilations }))
    if (list.length !== rank)
      return ctx.refuse(`its ${name} [${list.join(', ')}] are not one for each of ${rank} spatial axes`)
  const same = (axis: number): readonly [number, number] => {
    const extent = dilations[axis]! * (kernel[axis]! - 1) + 1
    const size = ctx.ranked(x)[axis + 2]
    const stride = strides[axis]!
    if (typeof size !== 'number' && stride !== 1)
      return ctx.refuse(`its padding ${automatic} depends on the open size ${size}; write "pads" or fix the size`)
    // With stride 1 the padding does not depend on the size.
    const total =
      typeof size === 'number' ? Math.max(0, (Math.ceil(size / stride) - 1) * stride + extent - size) : extent - 1
    const small = Math.floor(total / 2)
    return automatic === 'SAME_UPPER' ? [small, total - small] : [total - small, small]
  }
  const pads = automatic.startsWith('SAME')
    ? kernel.map((_, axis) => same(axis))
    : splitPads(automatic === 'VALID' ? [] : intsAttribute(node, 'pads', []), rank)
  return {
    rank,
    kernel,
    strides,
    dilations,
    before: pads.map((pad) => pad[0]),
    after: pads.map((pad) => pad[1]),
    group,
  }
}

function splitPads(pads: readonly number[], rank: number): (readonly [number, number])[] {
  return Array.from({ length: rank }, (_, axis) => [pads[axis] ?? 0, pads[rank + axis] ?? 0] as const)
}

/** The sizes of the spatial axes of x [N, C, …] that are numbers, in their places. */
export function spatial(ctx: RuleContext, x: string): readonly (number | undefined)[] {
  return ctx
    .ranked(x)
    .slice(2)
    .map((size) => (typeof size === 'number' ? size : undefined))
}
