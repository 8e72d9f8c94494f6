import { nodeAxis } from '../axes.js'
import type { Rule, RuleContext, RuleTable } from '../rule.js'

/** dX = y·(dY − Σ dY·y) */
const softmaxRule: Rule = (node, ctx, [dY]) => {
  const { b } = ctx
  const made = node.outputs[0]!
  // A row that is masked by −∞ entirely is NaN. Where the graph replaces such rows, nothing flows back to them.
  const y = isReplaced(ctx, made) ? b.op('Where', [b.op('IsNaN', [made]), ctx.scalar(0, made), made]) : made
  const axes = b.ints([nodeAxis(node, -1, ctx.ranked(made).length)])
  const inner = b.op('ReduceSum', [b.op('Mul', [dY!, y]), axes], { keepdims: 1 })
  return [b.op('Mul', [y, b.op('Sub', [dY!, inner])])]
}

/** Whether a Where chooses between this value and another. */
function isReplaced(ctx: RuleContext, value: string): boolean {
  return ctx.readers(value).some((reader) => {
    if (reader.op === 'Where') return true
    const passes = reader.op === 'Cast' || reader.op === 'Identity' || reader.op === 'Dropout'
    return passes && isReplaced(ctx, reader.outputs[0]!)
  })
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
