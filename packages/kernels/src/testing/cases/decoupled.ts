import type { ParityCase, ParityTable } from '../parity-case.js'
import type { LossRows } from './loss-rows.js'
import { casesOf, comparison, everyWay, gradientOf, judgeOf, values } from './rows-table.js'

/** A label for every row: what the case says, or the classes in turn. */
function labelled({ rows, classes, labels, classMask }: LossRows): Int32Array {
  if (labels !== null) return labels
  const kept = Array.from({ length: classes }, (_, c) => c).filter((c) => classMask?.[c] !== 0)
  return Int32Array.from({ length: rows }, (_, r) => kept[r % kept.length] ?? 0)
}

/** References in float64 by plain loops take their time. */
const heavy = /a million classes|128256|C=4099|many rows/

const weights = [
  [1.5, 2],
  [1, 0],
  [0, 1],
] as const

const dkdCases = (alpha: number, beta: number, only?: (name: string) => boolean): ParityCase[] =>
  casesOf(
    ['student', 'teacher', 'labels', 'classMask'],
    (rows) => ({
      buffers: [
        rows.student,
        rows.teacher,
        labelled(rows),
        rows.rowWeights,
        gradientOf(rows),
        values(3),
        rows.classMask,
      ],
      scalars: [rows.rows, rows.classes, rows.temperature, alpha, beta, -100, rows.teacherType],
    }),
    ({ name }) => only?.(name) ?? true,
  ).map((one) => ({ ...one, name: `${one.name}, α = ${alpha}, β = ${beta}` }))

export const dkdTable: ParityTable = {
  cases: everyWay(
    weights.flatMap(([alpha, beta]) =>
      dkdCases(alpha, beta, (name) => alpha * beta > 0 || !/C=\d|million|128256/.test(name)),
    ),
    4,
    heavy,
  ),
  judge: judgeOf({ labels: 2, rowWeights: 3, ignoreIndex: 5, temperature: 2 }, 4, 5, () => [0, 0, 0]),
  outputs: [4, 5],
}

const distCases = (beta: number, gamma: number): ParityCase[] =>
  casesOf(['student', 'teacher', 'classMask'], (rows) => {
    const { buffers, scalars } = comparison(rows, rows.temperature, beta, gamma)
    return { buffers: buffers.map((buffer, i) => (i === 4 ? values(3) : buffer)), scalars }
  })
    .filter(({ name }) => name !== 'NaN in rows left out by label')
    .map((one) => ({ ...one, name: `${one.name}, β = ${beta}, γ = ${gamma}` }))

export const distTable: ParityTable = {
  cases: everyWay(
    [...distCases(1, 1), ...distCases(0, 2).filter(({ name }) => / T=(1|1000) usual/.test(name))],
    3,
    heavy,
  ),
  judge: judgeOf({ rowWeights: 2, temperature: 2, tolerance: 'relationGradient' }, 3, 4, () => [1, 1, 1]),
  outputs: [3, 4],
}
