import { intAttribute, intsAttribute, type Node } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { range } from '../axes.js'
import { countAsFloat, expandLike, formulas, mask, reshapeLike, staticSizes } from '../emit.js'
import type { RewritingRule, Rule, RuleContext, RuleTable } from '../rule.js'
import { scatterAmong, scatterFlat } from '../scatter.js'
import { type Window, windowOf } from '../window.js'

/** The forward puts out where each maximum was (flat positions in the whole input); the gradient goes there. */
const maxPool: RewritingRule = {
  forward(node, ctx) {
    if (goesByTaps(node)) return { node, values: [] }
    const y = node.outputs[0]!
    const indices = node.outputs[1] || ctx.forwardName(`indices:${y}`)
    const shape = ctx.shape(y)
    return {
      node: { ...node, outputs: [y, indices] },
      values: [{ name: indices, type: 'int64', ...(shape && { shape }) }],
    }
  },
  gradient: (node, ctx, [dY]) => [
    goesByTaps(node) ? maxByTaps(node, ctx, dY!) : scatterFlat(ctx, node.inputs[0]!, node.outputs[1]!, dY!),
  ],
}

/** Column-major indices cannot be scattered by; dilated windows over space and time are rare, and need not be fast. */
function goesByTaps(node: Node): boolean {
  const dilations = intsAttribute(node, 'dilations', [])
  return intAttribute(node, 'storage_order', 0) !== 0 || (dilations.length > 2 && dilations.some((step) => step !== 1))
}

/** Every element of a window that equals its maximum shares the cotangent: one Slice of the padded input per tap of the kernel. */
function maxByTaps(node: Node, ctx: RuleContext, dY: string): string {
  const { b } = ctx
  const [x, y] = [node.inputs[0]!, node.outputs[0]!]
  const window = windowOf(node, ctx, x, intsAttribute(node, 'kernel_shape', []))
  const { kernel, strides, dilations, before } = window
  const sizes = staticSizes(ctx.ranked(x).slice(2))
  const steps = staticSizes(ctx.ranked(y).slice(2))
  if (sizes === undefined || steps === undefined)
    return ctx.refuse('the height and width of its input are open; fix them (the batch may stay open)')
  const reach = steps.map((count, i) => (count - 1) * strides[i]! + dilations[i]! * (kernel[i]! - 1) + 1)
  const pads = [0, 0, ...before, 0, 0, ...reach.map((size, i) => Math.max(0, size - before[i]! - sizes[i]!))]
  const axes = b.ints(kernel.map((_, i) => i + 2))
  const tapsOf = (value: string, fill: string): string[] => {
    const padded = b.op('Pad', [value, b.ints(pads), fill])
    return everyTap(kernel).map((tap) => {
      const starts = tap.map((at, i) => at * dilations[i]!)
      const ends = starts.map((start, i) => start + (steps[i]! - 1) * strides[i]! + 1)
      return b.op('Slice', [padded, b.ints(starts), b.ints(ends), axes, b.ints(strides)])
    })
  }
  const hits = tapsOf(x, ctx.scalar(Number.NEGATIVE_INFINITY, x)).map((tap) => mask(ctx, b.op('Equal', [tap, y]), x))
  const share = b.op('Div', [dY, hits.length === 1 ? hits[0]! : b.op('Sum', hits)])
  const shares = hits.map((hit) => b.op('Unsqueeze', [b.op('Mul', [hit, share]), b.ints([0])]))
  const stacked = b.op('Concat', shares, { axis: 0 })
  const [sum] = scatterAmong(ctx, [x], stacked, (positions) => {
    const places = tapsOf(positions, b.constant(tensor('int64', [], BigInt64Array.of(0n))))
    return b.op(
      'Concat',
      places.map((place) => b.op('Unsqueeze', [place, b.ints([0])])),
      { axis: 0 },
    )
  })
  return sum!
}

function everyTap(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>((all, size) => all.flatMap((tap) => range(size).map((at) => [...tap, at])), [[]])
}

/** Each output is a mean: its share goes back to every element of its window, by a ConvTranspose of ones on single channels. */
const averagePool: Rule = (node, ctx, [dY]) => [
  spread(node, ctx, (window, sizes, steps) =>
    ctx.b.op('Div', [dY!, ctx.b.constant(counts(node, ctx, window, sizes, steps))]),
  ),
]

/** What each output has for its window, given to every element of the window, in the shape of the node's input. */
function spread(
  node: Node,
  ctx: RuleContext,
  shareOf: (window: Window, sizes: readonly number[], steps: readonly number[]) => string,
): string {
  const { b } = ctx
  const [x, y] = [node.inputs[0]!, node.outputs[0]!]
  const kernel = intsAttribute(node, 'kernel_shape', [])
  const window = windowOf(node, ctx, x, kernel)
  const { strides, dilations, before } = window
  const sizes = staticSizes(ctx.ranked(x).slice(2))
  const steps = staticSizes(ctx.ranked(y).slice(2))
  if (sizes === undefined || steps === undefined)
    return ctx.refuse('the height and width of its input are open; fix them (the batch may stay open)')
  const single = b.op('Reshape', [shareOf(window, sizes, steps), b.ints([-1, 1, ...steps])])
  const ones = b.op('Expand', [ctx.scalar(1, x), b.ints([1, 1, ...kernel])])
  // With ceil_mode the last windows may reach beyond the padding; what they would give there is cut off.
  const reached = steps.map((count, i) => (count - 1) * strides[i]! + dilations[i]! * (kernel[i]! - 1) + 1)
  const full = b.op('ConvTranspose', [single, ones], { kernel_shape: kernel, strides, dilations })
  const wanted = sizes.map((size, i) => before[i]! + size)
  const back = reached.map((size, i) => wanted[i]! - size)
  const touched = [...before, ...back].some((size) => size !== 0)
  const pads = [0, 0, ...before.map((size) => 0 - size), 0, 0, ...back]
  return reshapeLike(ctx, touched ? b.op('Pad', [full, b.ints(pads), ctx.scalar(0, x)]) : full, x)
}

/** y = (Σ |x|ᵖ)^(1/p) over each window: dX = sign(x)·|x|^(p−1)·y^(1−p)·dY; windows of zeros give nothing back. */
const lpPool: Rule = (node, ctx, [dY]) => {
  const x = node.inputs[0]!
  const p = intAttribute(node, 'p', 2)
  return [
    lpShare(
      ctx,
      x,
      p,
      spread(node, ctx, () => lpScale(ctx, node.outputs[0]!, p, dY!)),
    ),
  ]
}

const globalLpPool: Rule = (node, ctx, [dY]) => {
  const p = intAttribute(node, 'p', 2)
  return [lpShare(ctx, node.inputs[0]!, p, lpScale(ctx, node.outputs[0]!, p, dY!))]
}

function lpScale(ctx: RuleContext, y: string, p: number, dY: string): string {
  const op = formulas(ctx, y)
  const some = op('Greater', y, 0)
  return op('Where', some, op('Mul', dY, op('Pow', op('Where', some, y, 1), 1 - p)), 0)
}

function lpShare(ctx: RuleContext, x: string, p: number, share: string): string {
  const op = formulas(ctx, x)
  if (p === 2) return op('Mul', x, share)
  const slope = p === 1 ? op('Sign', x) : op('Mul', op('Sign', x), op('Pow', op('Abs', x), p - 1))
  return op('Mul', slope, share)
}

/** How many elements each window's mean was taken over, [1, 1, …steps]. */
function counts(
  node: Node,
  ctx: RuleContext,
  window: Window,
  sizes: readonly number[],
  steps: readonly number[],
): ReturnType<typeof tensor> {
  const padded = intAttribute(node, 'count_include_pad', 0) === 1
  const perAxis = steps.map((count, axis) =>
    range(count).map((step) => {
      const [size, before, after] = [sizes[axis]!, window.before[axis]!, window.after[axis]!]
      const from = step * window.strides[axis]! - before
      const inside = (at: number): boolean => (padded ? at >= -before && at < size + after : at >= 0 && at < size)
      return range(window.kernel[axis]!).filter((tap) => inside(from + tap * window.dilations[axis]!)).length
    }),
  )
  const products = perAxis.reduce<number[]>((all, axis) => all.flatMap((product) => axis.map((n) => product * n)), [1])
  const dims = [1, 1, ...steps]
  return ctx.type(node.inputs[0]!) === 'float64'
    ? tensor('float64', dims, Float64Array.from(products))
    : tensor('float32', dims, Float32Array.from(products))
}

function spatialAxes(ctx: RuleContext, x: string): number[] {
  return range(ctx.ranked(x).length).slice(2)
}

const globalAveragePool: Rule = (node, ctx, [dY]) => {
  const x = node.inputs[0]!
  const axes = spatialAxes(ctx, x)
  return [expandLike(ctx, ctx.b.op('Div', [dY!, countAsFloat(ctx, x, axes)]), x, axes)]
}

/** Everything that ties for the maximum shares the cotangent. */
const globalMaxPool: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, y] = [node.inputs[0]!, node.outputs[0]!]
  const hit = mask(ctx, b.op('Equal', [x, y]), x)
  const ties = b.op('ReduceSum', [hit, b.ints(spatialAxes(ctx, x))], { keepdims: 1 })
  return [b.op('Mul', [hit, b.op('Div', [dY!, ties])])]
}

export const pool: RuleTable = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalLpPool: globalLpPool,
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
}
