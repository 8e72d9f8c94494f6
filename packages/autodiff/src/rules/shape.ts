import { reshapeLike } from '../emit.js'
import type { Rule, RuleTable } from '../rule.js'

const reshaped: Rule = (node, ctx, [dY]) => [reshapeLike(ctx, dY!, node.inputs[0]!)]

export const shape: RuleTable = {
  Identity: (_node, _ctx, [dY]) => [dY],
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
}
