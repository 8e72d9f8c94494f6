import type { KernelOf } from '../signatures.js'
import { divergenceRow } from './divergence-row.js'
import { eachRow } from './rows.js'

/** value = Σ w·KL(softmax(v/T) ‖ softmax(z/T)) / Σ w, and dvalue/dz = w·(q − p)/T / Σ w. */
export const klDivergence: KernelOf<'kl_divergence'> = (
  [student, teacher, rowWeights, gradient, result, classMask],
  [rows, classes, temperature, teacherType],
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
    expect: 'softmax',
  } as const
  let value = 0
  eachRow(batch, ({ share, z, v, gradient: slope }) => {
    value += share * divergenceRow(z, v, temperature, slope)
    for (let c = 0; c < z.length; c++) slope[c]! /= temperature
  })
  result[0] = value
}
