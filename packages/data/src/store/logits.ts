import { fromBfloat16, fromFloat16, squaredNorm, toBfloat16, toFloat16 } from '@imago/kernels'
import { dims, NotFoundError, NumericError, ShapeError, type Tensor, type TensorMap } from '@imago/tensor'
import type { LogitType } from './encoding.js'

const types = ['float32', 'float16', 'bfloat16'] as const

/** The teacher's logits [N, C] among targets. @throws NotFoundError, ShapeError */
export function logitsOf(caller: string, targets: TensorMap, rows: number, classes: number): Tensor<LogitType> {
  const { logits } = targets
  if (logits === undefined)
    throw new NotFoundError(
      `${caller}: there are no targets "logits"`,
      `There are: ${Object.keys(targets).join(', ') || 'none at all'}`,
    )
  dims(caller, { 'targets.logits': [logits, 'N C', types] })
  if (logits.dims[0] !== rows || logits.dims[1] !== classes)
    throw new ShapeError(caller, 'targets.logits', `[N=${rows}, C=${classes}]`, `[${logits.dims.join(', ')}]`)
  return logits as Tensor<LogitType>
}

/** Float32 logits, exactly those given. */
export function widened(logits: Tensor<LogitType>): Tensor<'float32'> {
  if (logits.type === 'float16') return fromFloat16({ x: logits })
  if (logits.type === 'bfloat16') return fromBfloat16({ x: logits })
  return logits as Tensor<'float32'>
}

/** Logits in the type in which they are kept: to nearest, ties to even. In `out`, where it is given and fits. */
export function rounded(logits: Tensor<LogitType>, type: LogitType, out?: Tensor): Tensor<LogitType> {
  if (logits.type === type) return logits
  const wide = widened(logits)
  if (type === 'float32') return wide
  const fits = out?.type === type && out.dims.join() === logits.dims.join()
  const options = { x: wide, ...(fits && { out }) }
  return type === 'float16' ? toFloat16(options) : toBfloat16(options)
}

/**
 * Refuse rows that are no distribution: NaN, +∞ (also by rounding: float16 ends at 65504), nothing but −∞.
 *
 * @throws NumericError with the row's id and what to do
 */
export function checkRows(
  caller: string,
  given: Tensor<LogitType>,
  { type, data }: Tensor<LogitType>,
  width: number,
  ids: Uint32Array,
): void {
  if (arePlain(given, type)) return
  for (let r = 0; r < ids.length; r++) {
    const from = r * width
    if (isPlain(type, data, from, width)) continue
    let mass = false
    for (let i = from; i < from + width; i++) {
      const value = kindOf(type, data[i]!)
      if (value === 'NaN' || value === '+∞') throw broken(caller, given, i, value, ids[r]!)
      if (value === 'finite') mass = true
    }
    if (!mass) throw new NumericError(caller, `the targets of row ${ids[r]} are −∞ for every class`)
  }
}

function broken(caller: string, given: Tensor<LogitType>, at: number, value: string, id: number): NumericError {
  const before = given.data[at]
  if (value === '+∞' && before !== undefined && kindOf(given.type, before) === 'finite')
    return new NumericError(
      caller,
      `the targets of row ${id} hold ${before}, which float16 cannot (its largest number is 65504); keep them as bfloat16 or float32`,
    )
  return new NumericError(caller, `the targets of row ${id} hold ${value}; the teacher or its input is broken`)
}

/** One number tells of all rows: the sum of squares is not finite where one of them is not, and no logit is larger than its root. */
function arePlain(given: Tensor<LogitType>, kept: LogitType): boolean {
  if (given.type !== 'float32') return false
  const norm = Math.sqrt(squaredNorm({ x: given as Tensor<'float32'> }))
  return kept === 'float32' ? Number.isFinite(norm) : norm <= (kept === 'float16' ? 65504 : 3e38)
}

/** True where all of a row are finite. */
function isPlain(type: LogitType, data: Float32Array | Uint16Array, from: number, width: number): boolean {
  const end = from + width
  if (type === 'float32') {
    // 0·x is NaN for what is not finite, and so is every sum from there on.
    let sum = 0
    for (let i = from; i < end; i++) sum += 0 * data[i]!
    return sum === 0
  }
  const ones = type === 'float16' ? 0x7c00 : 0x7f80
  // Two at a time: the carry out of an exponent of ones alone reaches the sign bit.
  const [mask, carry] = [ones * 0x10001, (ones & -ones) * 0x10001]
  let found = 0
  let i = from
  for (; i < end && ((data.byteOffset >>> 1) + i) % 2 === 1; i++) found |= (data[i]! & ones) + (ones & -ones)
  const pairs = new Uint32Array(data.buffer, data.byteOffset + 2 * i, (end - i) >>> 1)
  for (let p = 0; p < pairs.length; p++) found |= (pairs[p]! & mask) + carry
  if ((end - i) % 2 === 1) found |= (data[end - 1]! & ones) + (ones & -ones)
  return (found & 0x80008000) === 0
}

function kindOf(type: LogitType, value: number): 'finite' | 'NaN' | '+∞' | '−∞' {
  if (type === 'float32') {
    if (Number.isFinite(value)) return 'finite'
    return Number.isNaN(value) ? 'NaN' : value > 0 ? '+∞' : '−∞'
  }
  const ones = type === 'float16' ? 0x7c00 : 0x7f80
  if ((value & ones) !== ones) return 'finite'
  if ((value & 0x7fff & ~ones) !== 0) return 'NaN'
  return value & 0x8000 ? '−∞' : '+∞'
}
