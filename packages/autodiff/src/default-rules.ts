import type { RuleTable } from './rule.js'
import { activation } from './rules/activation.js'
import { arithmetic } from './rules/arithmetic.js'
import { attentions } from './rules/attention.js'
import { convolution } from './rules/conv.js'
import { cumulative } from './rules/cumulative.js'
import { einsums } from './rules/einsum.js'
import { gridSampling } from './rules/grid-sample.js'
import { linear } from './rules/linear.js'
import { loss } from './rules/loss.js'
import { normalization } from './rules/normalization.js'
import { pool } from './rules/pool.js'
import { recurrent } from './rules/recurrent.js'
import { reduce } from './rules/reduce.js'
import { refusals } from './rules/refusals.js'
import { resizing } from './rules/resize.js'
import { scatter } from './rules/scatter.js'
import { shape } from './rules/shape.js'
import { softmax } from './rules/softmax.js'
import { trigonometry } from './rules/trigonometry.js'
import { zeros } from './rules/zeros.js'

/** Every rule that imago has. Add yours: `{ ...defaultRules, MyOp: rule }`. */
export const defaultRules: RuleTable = {
  ...linear,
  ...convolution,
  ...pool,
  ...normalization,
  ...recurrent,
  ...activation,
  ...trigonometry,
  ...attentions,
  ...loss,
  ...softmax,
  ...arithmetic,
  ...reduce,
  ...shape,
  ...scatter,
  ...cumulative,
  ...einsums,
  ...resizing,
  ...gridSampling,
  ...zeros,
  ...refusals,
}
