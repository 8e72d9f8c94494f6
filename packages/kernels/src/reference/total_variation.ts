import type { KernelOf } from '../signatures.js'
import { compareRow, throughSoftmax } from './compare-row.js'
import { massDifference } from './divergence-row.js'
import { eachRow } from './rows.js'

/** value = Σ w·½·Σ|q − p| / Σ w, and dvalue/dz from dTV/dq = ½·sign(q − p), 0 where they are equal. */
export const totalVariation: KernelOf<'total_variation'> = (
  [student, teacher, rowWeights, gradient, result, classMask],
  [rows, classes, temperature, teacherType],
) => {
  const inputs = { student, teacher, teacherType, rowWeights, classMask }
  let value = 0
  eachRow({ rows, classes, ...inputs, gradient, expect: 'softmax' }, ({ share, z, v, gradient: out }) => {
    const { p, q, u } = compareRow(z, v, temperature)
    const slope = u.map((ratio) => Math.sign(ratio) / 2)
    for (let c = 0; c < z.length; c++) value += (share * Math.abs(massDifference(p[c]!, q[c]!, u[c]!))) / 2
    throughSoftmax(q, slope, temperature, out)
  })
  result[0] = value
}
