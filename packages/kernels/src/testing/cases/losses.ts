import { decoded } from '../../reference/rows.js'
import { elements, largest } from '../judge.js'
import type { ParityTable } from '../parity-case.js'
import { distributions } from './distributions.js'
import type { LossRowsCase } from './loss-rows.js'
import { casesOf, comparison, everyWay, factsOf, gradientOf, judgeOf, values } from './rows-table.js'

const softTarget = casesOf(['student', 'teacher', 'labels', 'classMask'], (rows) => ({
  buffers: [rows.student, rows.teacher, rows.labels, rows.rowWeights, gradientOf(rows), values(3), rows.classMask],
  scalars: [rows.rows, rows.classes, rows.temperature, rows.hardWeight, -100, rows.teacherType],
}))

export const softTargetLossTable: ParityTable = {
  cases: everyWay(softTarget, 4),
  judge: judgeOf({ labels: 2, rowWeights: 3, ignoreIndex: 4, temperature: 2 }, 4, 5, ({ scalars }) => [
    scalars[3]!,
    0,
    1,
  ]),
  outputs: [4, 5],
}

const smoothings = [0, 0.1, 1]

export const crossEntropyTable: ParityTable = {
  cases: everyWay(
    smoothings.flatMap((smoothing) =>
      casesOf(
        ['student', 'labels', 'classMask'],
        (rows) => ({
          buffers: [
            rows.student,
            rows.labels ?? new Int32Array(rows.rows).fill(-1),
            rows.rowWeights,
            gradientOf(rows),
            values(1),
            null,
            rows.classMask,
          ],
          scalars: [rows.rows, rows.classes, smoothing, -100],
        }),
        // One temperature is enough where there is none.
        ({ name }) => !/T=/.test(name) || / T=1 /.test(name),
      )
        .concat(distributions(smoothing))
        .map((one) => ({ ...one, name: `${one.name}, smoothing ${smoothing}` })),
    ),
    3,
  ),
  judge: judgeOf({ labels: 1, rowWeights: 2, ignoreIndex: 3 }, 3, 4, () => [1]),
  outputs: [3, 4],
}

const compared = ['student', 'teacher', 'classMask']

/** Cases that mean something without temperature and without −∞; what must be refused stays. */
function finiteOnly(one: LossRowsCase): boolean {
  if (/T=/.test(one.name)) return / T=1 /.test(one.name)
  // The squares of these overflow float32, which a kernel may refuse.
  if (/±1e30|all of float32/.test(one.name)) return false
  const { student, teacher, teacherType, rowWeights, classMask, classes } = one.make()
  const finite = (values: Float32Array): boolean =>
    values.every(
      (value, i) =>
        Number.isFinite(value) || rowWeights?.[Math.floor(i / classes)] === 0 || classMask?.[i % classes] === 0,
    )
  return one.refuses !== undefined || (finite(student) && finite(decoded(teacher, teacherType)))
}

export const logitRegressionTable: ParityTable = {
  cases: everyWay(
    [0, 1].flatMap((zeroMean) =>
      casesOf(compared, (rows) => comparison(rows, zeroMean), finiteOnly).map((one) => ({
        ...one,
        name: `${one.name}, ${zeroMean ? 'zero mean' : 'as they are'}`,
      })),
    ),
    3,
  ),
  judge: (call, want, got) => {
    const [student, teacher] = call.buffers as [Float32Array, Float32Array | Uint16Array]
    const mask = call.buffers[5] as Uint8Array | null
    const classes = call.scalars[1]!
    const counted = (values: Float32Array): Float32Array =>
      mask === null ? values : values.filter((_, i) => mask[i % classes] !== 0)
    const scale = largest(counted(student), counted(decoded(teacher, call.scalars[3]!)))
    const shares = factsOf(call, { rowWeights: 2 }).shares
    const value = elements('result[0]', want.buffers[4] as Float64Array, got.buffers[4] as Float64Array, 'lossValue')
    if (want.buffers[3] === null) return [value]
    const gradient = elements(
      'gradient',
      want.buffers[3] as Float32Array,
      got.buffers[3] as Float32Array,
      'elementwise',
      (_, i) => shares[Math.floor(i / classes)]! * scale,
    )
    return [value, gradient]
  },
  outputs: [3, 4],
}
