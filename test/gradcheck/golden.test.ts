import { describe, test } from 'vitest'
import { checkGolden, goldenRows } from './golden.js'

for (const family of ['activation', 'conv', 'conv-wide', 'conv-transpose', 'pool'])
  describe(family, () => {
    for (const row of goldenRows(family)) test(`${row.domain} ${row.op} ${row.title}`, () => checkGolden(row, 1e-5))
  })
