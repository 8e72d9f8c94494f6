import { intAttribute, intsAttribute, type Node } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { range } from '../axes.js'
import { countAsFloat, expandLike, mask, reshapeLike, staticSizes } from '../emit.js'
import type { RewritingRule, Rule, RuleContext, RuleTable } from '../rule.js'
import { scatterFlat } from '../scatter.js'
import { type Window, windowOf } from '../window.js'

/** The forward puts out where each maximum was (flat positions in the whole input); the gradient goes there. */
const maxPool: RewritingRule = {
  forward(node, ctx) {
    if (intAttribute(node, 'storage_order', 0) !== 0) ctx.refuse('its indices are column-major (storage_order 1)')
    const y = node.outputs[0]!
    const indices = node.outputs[1] || ctx.forwardName(`indices:${y}`)
    const shape = ctx.shape(y)
    return {
      node: { ...node, outputs: [y, indices] },
      values: [{ name: indices, type: 'int64', ...(shape && { shape }) }],
    }
  },
  gradient: (node, ctx, [dY]) => [scatterFlat(ctx, node.inputs[0]!, node.outputs[1]!, dY!)],
}

/** Each output is a mean: its share goes back to every element of its window, by a ConvTranspose of ones on single channels. */
const averagePool: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, y] = [node.inputs[0]!, node.outputs[0]!]
  const kernel = intsAttribute(node, 'kernel_shape', [])
  const window = windowOf(node, ctx, x, kernel)
  const { strides, dilations, before } = window
  const sizes = staticSizes(ctx.ranked(x).slice(2))
  const steps = staticSizes(ctx.ranked(y).slice(2))
  if (sizes === undefined || steps === undefined)
    return ctx.refuse('the height and width of its input are open; fix them (the batch may stay open)')
  const share = b.op('Div', [dY!, b.constant(counts(node, ctx, window, sizes, steps))])
  const single = b.op('Reshape', [share, b.ints([-1, 1, ...steps])])
  const ones = b.op('Expand', [ctx.scalar(1, x), b.ints([1, 1, ...kernel])])
  // With ceil_mode the last windows may reach beyond the padding; what they would give there is cut off.
  const reached = steps.map((count, i) => (count - 1) * strides[i]! + dilations[i]! * (kernel[i]! - 1) + 1)
  const full = b.op('ConvTranspose', [single, ones], { kernel_shape: kernel, strides, dilations })
  const wanted = sizes.map((size, i) => before[i]! + size)
  const back = reached.map((size, i) => wanted[i]! - size)
  const touched = [...before, ...back].some((size) => size !== 0)
  const pads = [0, 0, ...before.map((size) => 0 - size), 0, 0, ...back]
  return [reshapeLike(ctx, touched ? b.op('Pad', [full, b.ints(pads), ctx.scalar(0, x)]) : full, x)]
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
  GlobalAveragePool: globalAveragePool,
  GlobalMaxPool: globalMaxPool,
}
