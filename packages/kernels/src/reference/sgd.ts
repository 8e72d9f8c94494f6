import { encodeBfloat16 } from '../half.js'
import type { KernelOf } from '../signatures.js'
import { holdUnits } from './hold-units.js'

/**
 * g = gradientScale·gradient + weightDecay·w; v ← momentum·v − rate·g; w ← w + v (Hinton et al. 2012, arXiv 1207.0580, appendix
 * A.1); then max-norm, and a copy of the result in bfloat16.
 */
export const sgd: KernelOf<'sgd'> = (
  [parameter, gradient, velocity, copy],
  [rows, columns, rate, momentum, weightDecay, gradientScale, unitAxis, maxSquaredNorm],
) => {
  for (let i = 0; i < rows * columns; i++) {
    const g = gradientScale * gradient[i]! + weightDecay * parameter[i]!
    const v = momentum * velocity[i]! - rate * g
    velocity[i] = v
    parameter[i] = parameter[i]! + v
  }
  holdUnits(parameter, rows, columns, unitAxis, maxSquaredNorm)
  copy?.set(Uint16Array.from(parameter, encodeBfloat16))
}
