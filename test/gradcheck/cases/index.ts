import type { GradcheckCase } from '../case.js'
import { activation } from './activation.js'
import { arithmetic } from './arithmetic.js'
import { linear } from './linear.js'
import { normalization } from './normalization.js'
import { openSizes } from './open-sizes.js'
import { pool } from './pool.js'
import { reduce } from './reduce.js'
import { scatter } from './scatter.js'
import { shape } from './shape.js'
import { softmax } from './softmax.js'

/** The whole table, by family. */
export const cases: { readonly [family: string]: readonly GradcheckCase[] } = {
  linear,
  activation,
  arithmetic,
  softmax,
  reduce,
  shape,
  scatter,
  pool,
  normalization,
  'open sizes': openSizes,
}

/** The golden files of test/golden/autodiff that hold ops by themselves. */
export const goldenFamilies: readonly string[] = [
  'activation',
  'trigonometry',
  'normalization',
  'conv',
  'conv-wide',
  'conv-transpose',
  'pool',
  'loss',
  'attention',
  'rotary',
  'recurrent',
  'resize',
  'grid-sample',
  'fused-mat-mul',
]
