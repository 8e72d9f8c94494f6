import { defaultRules } from '@imago/autodiff'
import { describe, expect, test } from 'vitest'
import { cases, goldenFamilies } from './cases/index.js'
import { checkByDifferences } from './check-case.js'
import { checkGolden, goldenKey, goldenRows } from './golden.js'

// Relative errors. float64: the error of the difference quotient itself; float32: rounding, over sums of some hundred terms.
const tolerances = { differences: 1e-6, golden: 1e-5 }

for (const [family, rows] of Object.entries(cases))
  describe(`${family}: float64 finite differences`, () => {
    for (const row of rows)
      test(`${row.ops.join(', ')} ${row.title}`, () => checkByDifferences(row, tolerances.differences))
  })

for (const family of goldenFamilies)
  describe(`${family}: PyTorch in float64`, () => {
    for (const row of goldenRows(family))
      test(`${goldenKey(row)} ${row.title}`, () => checkGolden(row, tolerances.golden))
  })

describe('the table', () => {
  const checked = new Set([
    ...Object.values(cases).flatMap((rows) => rows.flatMap((row) => row.ops)),
    ...goldenFamilies.flatMap((family) => goldenRows(family).map(goldenKey)),
  ])

  for (const [op, entry] of Object.entries(defaultRules))
    if (typeof entry === 'function' || 'gradient' in entry)
      test(`has a row for the rule of ${op}`, () => expect(checked.has(op)).toBe(true))

  test('has no row for an op without a rule', () => {
    for (const op of checked) expect(defaultRules[op], op).toBeDefined()
  })
})
