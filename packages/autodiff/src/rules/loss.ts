import { intAttribute, type Node, stringAttribute, typeCode } from '@imago/onnx'
import { tensor } from '@imago/tensor'
import { countOf, formulas } from '../emit.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'

/** −w[t]·logp[t] by the class axis 1 of logp [N, C, …], t [N, …], reduced as the node says; entries of ignore_index count nothing. */
function negativeLogLikelihood(node: Node, ctx: RuleContext, logp: string, x: string): string {
  const { b } = ctx
  const op = formulas(ctx, x)
  const [, labels, weight] = node.inputs as [string, string, string?]
  const ignored = intAttribute(node, 'ignore_index', undefined)
  const int64 = (value: number): string => b.constant(tensor('int64', [], BigInt64Array.of(BigInt(value))))
  const target = b.op('Cast', [labels], { to: typeCode('int64') })
  const counts = ignored === undefined ? undefined : b.op('Not', [b.op('Equal', [target, int64(ignored)])])
  const safe = counts === undefined ? target : b.op('Where', [counts, target, int64(0)])
  const one = b.ints([1])
  const picked = b.op('GatherElements', [logp, b.op('Unsqueeze', [safe, one])], { axis: 1 })
  const factors = [
    ...(weight ? [b.op('Gather', [weight, safe])] : []),
    ...(counts === undefined ? [] : [b.op('Cast', [counts], { to: typeCode(ctx.type(x)) })]),
  ]
  const factor = factors.length === 2 ? b.op('Mul', factors) : factors[0]
  const plain = b.op('Neg', [b.op('Squeeze', [picked, one])])
  const loss = factor === undefined ? plain : b.op('Mul', [plain, factor])
  const reduction = stringAttribute(node, 'reduction', 'mean')
  if (reduction === 'none') return loss
  const total = (value: string): string => b.op('ReduceSum', [value], { keepdims: 0 })
  if (reduction === 'sum') return total(loss)
  if (factor !== undefined) return op('Div', total(loss), total(factor))
  const count = countOf(ctx, labels)
  const elements =
    typeof count === 'number'
      ? count
      : b.op('Cast', [b.op('Reshape', [count, b.ints([])])], { to: typeCode(ctx.type(x)) })
  return op('Div', total(loss), elements)
}

const nll: Rule = (node, ctx, cotangents) =>
  ctx.replay(cotangents, () => [negativeLogLikelihood(node, ctx, node.inputs[0]!, node.inputs[0]!)])

const crossEntropy: Rule = (node, ctx, cotangents) =>
  ctx.replay(cotangents, () => {
    const x = node.inputs[0]!
    const logp = ctx.b.op('LogSoftmax', [x], { axis: 1 })
    return [negativeLogLikelihood(node, ctx, logp, x), logp]
  })

export const loss: RuleTable = { NegativeLogLikelihoodLoss: nll, SoftmaxCrossEntropyLoss: crossEntropy }
