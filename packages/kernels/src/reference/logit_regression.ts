import type { KernelOf } from '../signatures.js'
import { eachRow } from './rows.js'

/**
 * value = Σ w·½·Σ_c (z − v)² / Σ w (Ba & Caruana 2014, §2.2), and dvalue/dz = w·(z − v) / Σ w.
 * zeroMean takes the mean over the classes out of both rows first; centring is a projection, so the gradient is centred too.
 */
export const logitRegression: KernelOf<'logit_regression'> = (
  [student, teacher, rowWeights, gradient, result, classMask],
  [rows, classes, zeroMean, teacherType],
) => {
  const batch = {
    rows,
    classes,
    student,
    teacher,
    teacherType,
    rowWeights,
    classMask,
    gradient,
    expect: 'finite',
  } as const
  let value = 0
  eachRow(batch, ({ share, z, v, gradient: slope }) => {
    let mean = 0
    if (zeroMean) for (let c = 0; c < z.length; c++) mean += (z[c]! - v[c]!) / z.length
    for (let c = 0; c < z.length; c++) {
      slope[c] = z[c]! - v[c]! - mean
      value += (share * slope[c]! ** 2) / 2
    }
  })
  result[0] = value
}
