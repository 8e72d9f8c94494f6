/**
 * g = gradientScale·gradient + weightDecay·w; v ← momentum·v − rate·g; w ← w + v (Hinton et al. 2012, arXiv 1207.0580, appendix
 * A.1); then each unit's incoming weights are scaled down to a squared length of at most maxSquaredNorm (ibid. §2).
 */
export function sgd(
  [parameter, gradient, velocity]: readonly [Float32Array, Float32Array, Float32Array],
  [rows, columns, rate, momentum, weightDecay, gradientScale, unitAxis, maxSquaredNorm]: readonly [
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
  for (let i = 0; i < rows * columns; i++) {
    const g = gradientScale * gradient[i]! + weightDecay * parameter[i]!
    const v = momentum * velocity[i]! - rate * g
    velocity[i] = v
    parameter[i] = parameter[i]! + v
  }
  if (unitAxis === 0) for (let r = 0; r < rows; r++) limit(parameter, r * columns, 1, columns, maxSquaredNorm)
  if (unitAxis === 1) for (let c = 0; c < columns; c++) limit(parameter, c, columns, rows, maxSquaredNorm)
}

function limit(parameter: Float32Array, start: number, stride: number, count: number, maxSquaredNorm: number): void {
  let squared = 0
  for (let i = 0; i < count; i++) squared += parameter[start + i * stride]! ** 2
  if (!(squared > maxSquaredNorm)) return
  const factor = Math.sqrt(maxSquaredNorm / squared)
  for (let i = 0; i < count; i++) parameter[start + i * stride]! *= factor
}
