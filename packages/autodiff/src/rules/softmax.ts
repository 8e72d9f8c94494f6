import { nodeAxis } from '../axes.js'
import type { Rule, RuleTable } from '../rule.js'

/** dX = y·(dY − Σ dY·y) */
const softmaxRule: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const y = node.outputs[0]!
  const axes = b.ints([nodeAxis(node, -1, ctx.ranked(y).length)])
  const inner = b.op('ReduceSum', [b.op('Mul', [dY!, y]), axes], { keepdims: 1 })
  return [b.op('Mul', [y, b.op('Sub', [dY!, inner])])]
}

/** dX = dY − exp(y)·Σ dY */
const logSoftmax: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const y = node.outputs[0]!
  const axes = b.ints([nodeAxis(node, -1, ctx.ranked(y).length)])
  const sum = b.op('ReduceSum', [dY!, axes], { keepdims: 1 })
  return [b.op('Sub', [dY!, b.op('Mul', [b.op('Exp', [y]), sum])])]
}

export const softmax: RuleTable = { Softmax: softmaxRule, LogSoftmax: logSoftmax }
