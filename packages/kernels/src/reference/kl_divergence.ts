import { divergenceRow } from './divergence-row.js'
import { eachRow } from './rows.js'

/** value = Σ w·KL(softmax(v/T) ‖ softmax(z/T)) / Σ w, and dvalue/dz = w·(q − p)/T / Σ w. */
export function klDivergence(
  [student, teacher, rowWeights, gradient, result, classMask]: readonly [
    Float32Array,
    Float32Array | Uint16Array,
    Float32Array | null,
    Float32Array | null,
    Float64Array,
    Uint8Array | null,
  ],
  [rows, classes, temperature, teacherType]: readonly [number, number, number, number],
): void {
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
