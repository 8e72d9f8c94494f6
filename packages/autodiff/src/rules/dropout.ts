import type { Node } from '@imago/onnx'
import { formulas, mask } from '../emit.js'
import type { RewritingRule, RuleContext } from '../rule.js'

/**
 * At inference Dropout passes everything. In training mode ONNX Runtime draws the mask, which the forward puts out for the
 * backward; `training(graph)` turns the op into a product with a mask that is fed instead.
 */
export const dropout: RewritingRule = {
  forward(node, ctx) {
    if (!mayDraw(node, ctx)) return { node, values: [] }
    const [y, mask] = node.outputs as [string, string?]
    const name = mask || ctx.forwardName(`mask:${y}`)
    const shape = ctx.shape(y)
    return { node: { ...node, outputs: [y, name] }, values: [{ name, type: 'bool', ...(shape && { shape }) }] }
  },
  gradient(node, ctx, [dY]) {
    if (!mayDraw(node, ctx)) return [dY, null]
    const { b } = ctx
    const [x, ratio, flag] = node.inputs as [string, string?, string?]
    const op = formulas(ctx, x)
    const kept = op('Sub', 1, ratio || 0.5)
    const scale = op('Where', flag!, op('Reciprocal', kept), 1)
    const passed = op('Mul', op('Mul', dY!, mask(ctx, node.outputs[1]!, x)), scale)
    // y = x·mask/(1 − p), so dp = Σ dY·y/(1 − p)
    const dRatio = (): string =>
      b.op('ReduceSum', [op('Where', flag!, op('Mul', op('Mul', passed, x), scale), 0)], { keepdims: 0 })
    return [ctx.needs(0) ? passed : undefined, ratio && ctx.needs(1) ? dRatio() : undefined]
  },
}

function mayDraw(node: Node, ctx: RuleContext): boolean {
  const flag = node.inputs[2]
  return flag !== undefined && flag !== '' && Number(ctx.constant(flag)?.data[0] ?? 1) !== 0
}
