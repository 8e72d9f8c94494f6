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
  if (unitAxis < 0) return
  const squared = new Float64Array(unitAxis === 0 ? rows : columns)
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) squared[unitAxis === 0 ? r : c]! += parameter[r * columns + c]! ** 2
  const factors = squared.map((sum) => (sum > maxSquaredNorm ? Math.sqrt(maxSquaredNorm / sum) : 1))
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) parameter[r * columns + c]! *= factors[unitAxis === 0 ? r : c]!
}
