import type { ParityCase, ParityTable } from '../parity-case.js'
import type { LossRows } from './loss-rows.js'
import { casesOf, comparison, everyWay, judgeOf } from './rows-table.js'

/** The common rows for a divergence of student and teacher, whose scalars are rows, classes, temperature, `own`, teacherType. */
function tableOf(
  ownOf: (rows: LossRows) => number[],
  more: readonly ParityCase[] = [],
  missing: 1 | 2 = 2,
): ParityTable {
  const cases = casesOf(['student', 'teacher', 'classMask'], (rows) =>
    comparison(rows, rows.temperature, ...ownOf(rows)),
  ).filter(({ name }) => name !== 'NaN in rows left out by label')
  return {
    cases: everyWay([...cases, ...more], 3),
    judge: judgeOf({ rowWeights: 2, temperature: 2, missing }, 3, 4, () => [0]),
    outputs: [3, 4],
  }
}

export const klDivergenceTable: ParityTable = tableOf(() => [])
export const reverseKlTable: ParityTable = tableOf(() => [])
export const totalVariationTable: ParityTable = tableOf(() => [], [], 1)

/** Three β in turn, the outer ones near the limits. */
const betas = [0.5, 0.1, 0.999]

const sums = casesOf(
  ['student'],
  (rows) => comparison(rows, rows.temperature, 1e-6),
  ({ name }) => / usual$/.test(name),
)
export const jsDivergenceTable: ParityTable = tableOf(
  ({ rows, classes }) => [betas[(rows + classes) % 3]!],
  sums.map((one) => ({ ...one, name: `${one.name}, β = 1e-6` })),
)
