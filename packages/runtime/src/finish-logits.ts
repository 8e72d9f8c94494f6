import { fromFloat16 } from '@imago/kernels'
import {
  elementCount,
  isType,
  NumericError,
  ShapeError,
  type Tensor,
  type TensorData,
  tensor,
  UnsupportedError,
} from '@imago/tensor'

/** One number for each class and row, as float32 [rows, C], of sequences [rows, T, C]: other float types are converted, trailing dims of 1 dropped. */
export function scoresOf(name: string, value: Tensor, rows: number): Tensor<'float32'> {
  const dims = [...value.dims]
  while (dims.length > 2 && dims[dims.length - 1] === 1) dims.pop()
  while (dims.length > 2 && dims[1] === 1) dims.splice(1, 1)
  if (dims.length === 1) dims.push(1)
  const row = dims.slice(1)
  if (row.length < 1 || row.length > 2 || dims[0]! < rows || row.includes(0))
    throw new ShapeError(
      'predictor',
      name,
      `[${rows}, classes] or [${rows}, positions, classes]`,
      `[${value.dims.join(', ')}]`,
    )
  return tensor('float32', [rows, ...row], float32(name, value).subarray(0, rows * elementCount(row)))
}

function float32(name: string, value: Tensor): Float32Array {
  if (isType(value, 'float32')) return value.data
  if (isType(value, 'float64')) return Float32Array.from(value.data)
  if (isType(value, 'float16')) return fromFloat16({ x: value }).data
  throw new UnsupportedError(`output "${name}"`, `it is of type ${value.type}, not a floating point type`)
}

/** True where every row is a distribution (or, with one column, every number a probability). Logits are not, but by a miracle. */
export function areProbabilities(scores: Tensor<'float32'>): boolean {
  const { data } = scores
  const classes = scores.dims.at(-1)!
  const rows = data.length / classes
  for (let r = 0; r < rows; r++) {
    let sum = 0
    for (let c = 0; c < classes; c++) {
      const p = data[r * classes + c]!
      if (!(p >= 0 && p <= 1 + 1e-3)) return false
      sum += p
    }
    if (classes > 1 && Math.abs(sum - 1) > 1e-3) return false
  }
  return rows > 0
}

/** Logits [rows, C] from scores: logarithms of probabilities; one column z becomes [0, z], one column p [ln(1 − p), ln p]. */
export function logitsOf(scores: Tensor<'float32'>, probabilities: boolean): Tensor<'float32'> {
  const [rows = 0] = scores.dims
  const classes = scores.dims.at(-1)!
  const { data } = scores
  if (classes > 1) return probabilities ? tensor('float32', scores.dims, data.map(Math.log)) : scores
  const pairs = new Float32Array(2 * rows)
  for (let r = 0; r < rows; r++) {
    // softmax([0, z]) = [1 − σ(z), σ(z)]; of p the logarithms of both, as ln p − ln(1 − p) is +∞ for a p that rounds to 1.
    if (probabilities) pairs[2 * r] = Math.log1p(-Math.min(1, data[r]!))
    pairs[2 * r + 1] = probabilities ? Math.log(data[r]!) : data[r]!
  }
  return tensor('float32', [rows, 2], pairs)
}

export function refuseNaN(where: string, value: Tensor<keyof TensorData>, firstRow: number): void {
  const data = value.data as Float32Array
  for (let i = 0; i < data.length; i++)
    if (Number.isNaN(data[i]!)) {
      const row = firstRow + Math.floor(i / (data.length / value.dims[0]!))
      throw new NumericError(
        where,
        `NaN in row ${row} of the model's output; are its inputs scaled as the model expects?`,
      )
    }
}
