/** AdamW (Loshchilov & Hutter 2019, algorithm 2): decoupled weight decay, bias-corrected moments; step counts from 1. */
export function adamw(
  [parameter, gradient, m, v]: readonly [Float32Array, Float32Array, Float32Array, Float32Array],
  [n, rate, beta1, beta2, epsilon, weightDecay, gradientScale, step]: readonly [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ],
): void {
  const correction1 = 1 - beta1 ** step
  const correction2 = 1 - beta2 ** step
  for (let i = 0; i < n; i++) {
    const g = gradientScale * gradient[i]!
    const first = beta1 * m[i]! + (1 - beta1) * g
    const second = beta2 * v[i]! + (1 - beta2) * g * g
    m[i] = first
    v[i] = second
    const direction = first / correction1 / (Math.sqrt(second / correction2) + epsilon)
    parameter[i] = (1 - rate * weightDecay) * parameter[i]! - rate * direction
  }
}
