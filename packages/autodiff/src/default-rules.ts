import type { RuleTable } from './rule.js'
import { activation } from './rules/activation.js'
import { arithmetic } from './rules/arithmetic.js'
import { linear } from './rules/linear.js'
import { reduce } from './rules/reduce.js'
import { shape } from './rules/shape.js'
import { softmax } from './rules/softmax.js'
import { zeros } from './rules/zeros.js'

/** Every rule that imago has. Add yours: `{ ...defaultRules, MyOp: rule }`. */
export const defaultRules: RuleTable = {
  ...linear,
  ...activation,
  ...arithmetic,
  ...reduce,
  ...shape,
  ...softmax,
  ...zeros,
}
