import { intsAttribute, stringAttribute } from '@imago/onnx'
import { range } from '../axes.js'
import { convInputGradient } from '../conv-input.js'
import { convWeightGradient } from '../conv-weight.js'
import { staticSizes } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'
import { spatial, windowOf } from '../window.js'

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
      ? convWeightGradient(ctx, { x, dY: dY!, channelsIn, channelsOut, steps: spatial(ctx, y), window })
      : undefined,
    ctx.needs(2) ? biasGradient(ctx, dY!, kernel.length) : undefined,
  ]
}

/** ConvTranspose is the dX of a Conv whose W has [Ci, Co/group, …]; so its own dX is that Conv, and in dW x and dY change places. */
const convTranspose: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, W] = node.inputs as [string, string]
  const [channelsIn, perGroup, ...kernel] = filterSizes(ctx, W) as [number, number, ...number[]]
  if (/^SAME/.test(stringAttribute(node, 'auto_pad', 'NOTSET')) || intsAttribute(node, 'output_shape', undefined))
    return ctx.refuse('its padding follows from an output shape; write "pads" and "output_padding" instead')
  const window = windowOf(node, ctx, node.outputs[0]!, kernel)
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
      steps: spatial(ctx, x),
      window,
    })
  return [
    ctx.needs(0) ? dX() : undefined,
    ctx.needs(1) ? dW() : undefined,
    ctx.needs(2) ? biasGradient(ctx, dY!, kernel.length) : undefined,
  ]
}

export const convolution: RuleTable = { Conv: conv, ConvTranspose: convTranspose }
