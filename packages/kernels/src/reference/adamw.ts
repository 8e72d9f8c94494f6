import { encodeBfloat16 } from '../half.js'
import type { KernelOf } from '../signatures.js'
import { holdUnits } from './hold-units.js'

/**
 * AdamW (Loshchilov & Hutter 2019, algorithm 2): decoupled weight decay, bias-corrected moments; step counts from 1. Then
 * max-norm, and a copy of the result in bfloat16.
 */
export const adamw: KernelOf<'adamw'> = (
  [parameter, gradient, m, v, copy],
  [rows, columns, rate, beta1, beta2, epsilon, weightDecay, gradientScale, step, unitAxis, maxSquaredNorm],
) => {
  const correction1 = 1 - beta1 ** step
  const correction2 = 1 - beta2 ** step
  for (let i = 0; i < rows * columns; i++) {
    const g = gradientScale * gradient[i]!
    const first = beta1 * m[i]! + (1 - beta1) * g
    const second = beta2 * v[i]! + (1 - beta2) * g * g
    m[i] = first
    v[i] = second
    const direction = first / correction1 / (Math.sqrt(second / correction2) + epsilon)
    parameter[i] = (1 - rate * weightDecay) * parameter[i]! - rate * direction
  }
  holdUnits(parameter, rows, columns, unitAxis, maxSquaredNorm)
  copy?.set(Uint16Array.from(parameter, encodeBfloat16))
}
