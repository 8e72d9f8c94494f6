/** result = [Σ x²]. */
export function squaredNorm([x, result]: readonly [Float32Array, Float64Array], [n]: readonly [number]): void {
  let sum = 0
  for (let i = 0; i < n; i++) sum += x[i]! * x[i]!
  result[0] = sum
}
