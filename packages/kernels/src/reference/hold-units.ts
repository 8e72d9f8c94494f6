/**
 * Max-norm: each unit's incoming weights, a row (unitAxis 0) or a column (1) of the matrix, are scaled down to a squared length
 * of at most maxSquaredNorm (Hinton et al. 2012, arXiv 1207.0580, §2). unitAxis −1: nothing.
 */
export function holdUnits(
  parameter: Float32Array,
  rows: number,
  columns: number,
  unitAxis: number,
  maxSquaredNorm: number,
): void {
  if (unitAxis < 0) return
  const squared = new Float64Array(unitAxis === 0 ? rows : columns)
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) squared[unitAxis === 0 ? r : c]! += parameter[r * columns + c]! ** 2
  const factors = squared.map((sum) => (sum > maxSquaredNorm ? Math.sqrt(maxSquaredNorm / sum) : 1))
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) parameter[r * columns + c]! *= factors[unitAxis === 0 ? r : c]!
}
