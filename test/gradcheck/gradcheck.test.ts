import { test } from 'vitest'
import { activation } from './cases/activation.js'
import { arithmetic } from './cases/arithmetic.js'
import { linear } from './cases/linear.js'
import { normalization } from './cases/normalization.js'
import { pool } from './cases/pool.js'
import { reduce } from './cases/reduce.js'
import { shape } from './cases/shape.js'
import { softmax } from './cases/softmax.js'
import { checkByDifferences } from './check-case.js'

for (const row of [...linear, ...activation, ...arithmetic, ...softmax, ...reduce, ...shape, ...pool, ...normalization])
  test(`${row.ops.join(' ')} ${row.title}`, () => checkByDifferences(row, 1e-5))
