import { intsAttribute, type Node, stringAttribute } from '@imago/onnx'
import { range } from '../axes.js'
import { convInputGradient } from '../conv-input.js'
import { convWeightGradient } from '../conv-weight.js'
import { staticSizes } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'
import { spatial, type Window, windowOf } from '../window.js'

function filterSizes(ctx: RuleContext, W: string): readonly number[] {
  return staticSizes(ctx.ranked(W)) ?? ctx.refuse(`the sizes of its filters "${W}" are not known`)
}

function biasGradient(ctx: RuleContext, dY: string, rank: number): string {
  return ctx.b.op('ReduceSum', [dY, ctx.b.ints([0, ...range(rank).map((axis) => axis + 2)])], { keepdims: 0 })
}

const conv: Rule = (node, ctx, [dY]) => {
  const [x, W] = node.inputs as [string, string]
  const y = node.outputs[0]!
  const [channelsOut, channelsIn, ...kernel] = filterSizes(ctx, W) as [number, number, ...number[]]
  const window = windowOf(node, ctx, x, kernel)
  return [
    ctx.needs(0) ? convInputGradient(ctx, x, y, W, dY!, window) : undefined,
    ctx.needs(1)
      ? convWeightGradient(ctx, {
          x,
          dY: dY!,
          channelsIn,
          channelsOut,
          sizes: spatial(ctx, x),
          steps: spatial(ctx, y),
          window,
        })
      : undefined,
    ctx.needs(2) ? biasGradient(ctx, dY!, kernel.length) : undefined,
  ]
}

/** ConvTranspose is the dX of a Conv whose W has [Ci, Co/group, …]; so its own dX is that Conv, and in dW x and dY change places. */
const convTranspose: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, W] = node.inputs as [string, string]
  const [channelsIn, perGroup, ...kernel] = filterSizes(ctx, W) as [number, number, ...number[]]
  const window = transposedWindow(node, ctx, x, kernel)
  const { strides, dilations, before, after, group } = window
  const attributes = { kernel_shape: kernel, strides, dilations, pads: [...before, ...after], group }
  const extra = intsAttribute(node, 'output_padding', [])
  const dX = (): string => {
    const made = b.op('Conv', [dY!, W], attributes)
    // Output padding of a whole stride (allowed with dilation) makes the Conv take a step too many.
    if (!extra.some((size, i) => size >= strides[i]!)) return made
    const axes = b.ints(range(kernel.length).map((axis) => axis + 2))
    const ends = b.op('Gather', [ctx.shapeOf(x), axes], { axis: 0 })
    return b.op('Slice', [made, b.ints(kernel.map(() => 0)), ends, axes])
  }
  const dW = (): string =>
    convWeightGradient(ctx, {
      x: dY!,
      dY: x,
      channelsIn: perGroup,
      channelsOut: channelsIn,
      sizes: spatial(ctx, node.outputs[0]!),
      steps: spatial(ctx, x),
      window,
    })
  return [
    ctx.needs(0) ? dX() : undefined,
    ctx.needs(1) ? dW() : undefined,
    ctx.needs(2) ? biasGradient(ctx, dY!, kernel.length) : undefined,
  ]
}

/** The window of a ConvTranspose; where an output shape is asked for, or kept, the padding follows from it. */
function transposedWindow(node: Node, ctx: RuleContext, x: string, kernel: readonly number[]): Window {
  const asked = intsAttribute(node, 'output_shape', undefined)
  const automatic = stringAttribute(node, 'auto_pad', 'NOTSET')
  const keeps = automatic.startsWith('SAME')
  if (asked === undefined && !keeps) return windowOf(node, ctx, node.outputs[0]!, kernel)
  const plain = { ...node, attributes: new Map([...node.attributes].filter(([name]) => name !== 'auto_pad')) }
  const window = windowOf(plain, ctx, node.outputs[0]!, kernel)
  const extra = intsAttribute(node, 'output_padding', [])
  const totals = kernel.map((size, i) => {
    const stride = window.strides[i]!
    const from = ctx.ranked(x)[i + 2]
    const extent = window.dilations[i]! * (size - 1) + 1
    if (asked === undefined) return Math.max(0, extent + (extra[i] ?? 0) - stride)
    if (typeof from !== 'number') return ctx.refuse(`its padding depends on the open size ${from}; write "pads"`)
    return Math.max(0, stride * (from - 1) + (extra[i] ?? 0) + extent - asked.slice(-kernel.length)[i]!)
  })
  // The odd one goes behind for SAME_UPPER, and in front otherwise.
  const small = totals.map((total) => Math.floor(total / 2))
  const large = totals.map((total, i) => total - small[i]!)
  const upper = automatic === 'SAME_UPPER'
  return { ...window, before: upper ? small : large, after: upper ? large : small }
}

export const convolution: RuleTable = { Conv: conv, ConvTranspose: convTranspose }
