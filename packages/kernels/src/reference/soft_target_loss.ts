import type { KernelOf } from '../signatures.js'
import { crossEntropyRow, onehot } from './cross-entropy-row.js'
import { divergenceRow } from './divergence-row.js'
import { eachRow } from './rows.js'

/**
 * value = Σ w·[(1 − a)·T²·KL(softmax(v/T) ‖ softmax(z/T)) + a·CE(z, y)] / Σ w, its two means, and dvalue/dz
 * (Hinton, Vinyals & Dean 2015, §2): dKL/dz = (q − p)/T, dCE/dz = softmax(z) − onehot(y).
 */
export const softTargetLoss: KernelOf<'soft_target_loss'> = (
  [student, teacher, labels, rowWeights, gradient, result, classMask],
  [rows, classes, temperature, hardWeight, ignoreIndex, teacherType],
) => {
  const inputs = { student, teacher, teacherType, labels, ignoreIndex, rowWeights, classMask }
  let soft = 0
  let hard = 0
  eachRow({ rows, classes, ...inputs, gradient, expect: 'softmax' }, ({ share, z, v, label, gradient: slope }) => {
    const softDifference = new Float64Array(z.length)
    const hardDifference = new Float64Array(z.length)
    soft += share * temperature * (temperature * divergenceRow(z, v, temperature, softDifference))
    if (label >= 0) hard += share * crossEntropyRow(z, onehot(z.length, label), hardDifference)
    for (let c = 0; c < z.length; c++)
      slope[c] = (1 - hardWeight) * temperature * softDifference[c]! + hardWeight * hardDifference[c]!
  })
  // A term with the factor 0 is not there: 0·∞ would be NaN.
  result[0] = (hardWeight < 1 ? (1 - hardWeight) * soft : 0) + (hardWeight > 0 ? hardWeight * hard : 0)
  result[1] = soft
  result[2] = hard
}
