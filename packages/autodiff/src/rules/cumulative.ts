import { intAttribute } from '@imago/onnx'
import { formulas, mask } from '../emit.js'
import type { Rule, RuleTable } from '../rule.js'

/** What was summed up to a position now comes back from it on: the sum in the other direction. */
const cumSum: Rule = (node, ctx, [dY]) => [
  ctx.b.op('CumSum', [dY!, node.inputs[1]!], {
    exclusive: intAttribute(node, 'exclusive', 0),
    reverse: 1 - intAttribute(node, 'reverse', 0),
  }),
]

/**
 * y_j = Π x_i up to j, so dX_i = Σ_j dY_j·y_j/x_i from i on. Behind the first 0 of a row every product is 0, and only that 0 has a
 * slope: the same with a 1 in its place.
 */
const cumProd: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const [x, axis] = node.inputs as [string, string]
  const op = formulas(ctx, x)
  const exclusive = intAttribute(node, 'exclusive', 0)
  const reverse = intAttribute(node, 'reverse', 0)
  const back = (value: string): string => b.op('CumSum', [value, axis], { exclusive, reverse: 1 - reverse })
  const isZero = op('Equal', x, 0)
  const before = b.op('CumSum', [mask(ctx, isZero, x), axis], { exclusive: 1, reverse })
  const isFirst = b.op('And', [isZero, op('Equal', before, 0)])
  const without = b.op('CumProd', [op('Where', isFirst, 1, x), axis], { exclusive, reverse })
  const elsewhere = op('Where', isZero, 0, op('Div', back(op('Mul', dY!, node.outputs[0]!)), op('Where', isZero, 1, x)))
  return [op('Where', isFirst, back(op('Mul', dY!, without)), elsewhere)]
}

export const cumulative: RuleTable = { CumSum: cumSum, CumProd: cumProd }
