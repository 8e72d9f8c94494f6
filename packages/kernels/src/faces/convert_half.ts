import { dims, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { checkDisjoint, memory } from '../guard.js'
import { resultIn } from './place.js'

export interface ConvertHalfOptions<X extends AnyTensor = Tensor> {
  /** What is converted, any dims. */
  readonly x: X
  /** Where the result goes, same dims. */
  readonly out?: X | undefined
  readonly backend?: Backend | undefined
}

type Half = 'float16' | 'bfloat16'
const halfTypes = { float16: 1, bfloat16: 2 } as const

/**
 * float32 → float16, to nearest with ties to even: numbers below 2⁻¹⁴ become subnormal, from 65520 on infinite; NaN stays NaN.
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function toFloat16(options: ConvertHalfOptions): Tensor<'float16'>
export function toFloat16(options: ConvertHalfOptions<DeviceTensor>): DeviceTensor<'float16'>
export function toFloat16(options: ConvertHalfOptions<AnyTensor>): AnyTensor<'float16'> {
  return encode('toFloat16', 'float16', options)
}

/** float32 → bfloat16, to nearest with ties to even; NaN stays NaN. Errors as of `toFloat16`. */
export function toBfloat16(options: ConvertHalfOptions): Tensor<'bfloat16'>
export function toBfloat16(options: ConvertHalfOptions<DeviceTensor>): DeviceTensor<'bfloat16'>
export function toBfloat16(options: ConvertHalfOptions<AnyTensor>): AnyTensor<'bfloat16'> {
  return encode('toBfloat16', 'bfloat16', options)
}

/** float16 → float32, exact. Errors as of `toFloat16`. */
export function fromFloat16(options: ConvertHalfOptions): Tensor<'float32'>
export function fromFloat16(options: ConvertHalfOptions<DeviceTensor>): DeviceTensor<'float32'>
export function fromFloat16(options: ConvertHalfOptions<AnyTensor>): AnyTensor<'float32'> {
  return decode('fromFloat16', 'float16', options)
}

/** bfloat16 → float32, exact. Errors as of `toFloat16`. */
export function fromBfloat16(options: ConvertHalfOptions): Tensor<'float32'>
export function fromBfloat16(options: ConvertHalfOptions<DeviceTensor>): DeviceTensor<'float32'>
export function fromBfloat16(options: ConvertHalfOptions<AnyTensor>): AnyTensor<'float32'> {
  return decode('fromBfloat16', 'bfloat16', options)
}

function encode<T extends Half>(
  caller: string,
  type: T,
  { x, out, backend }: ConvertHalfOptions<AnyTensor>,
): AnyTensor<T> {
  dims(caller, { x: [x, '...', 'float32'] })
  dims(caller, { out: [out, x.dims.join(' '), type] })
  const read = memory(caller, 'x', x, 'float32')
  const { result, written } = resultIn(caller, out, x, type, x.dims)
  checkDisjoint(caller, 'out', written, { x: read })
  if (read.length > 0) run(caller, 'convert_half', backend, [read, written], [read.length, halfTypes[type], 1])
  return result
}

function decode(caller: string, type: Half, { x, out, backend }: ConvertHalfOptions<AnyTensor>): AnyTensor<'float32'> {
  dims(caller, { x: [x, '...', type] })
  dims(caller, { out: [out, x.dims.join(' '), 'float32'] })
  const read = memory(caller, 'x', x, type)
  const { result, written } = resultIn(caller, out, x, 'float32', x.dims)
  checkDisjoint(caller, 'out', written, { x: read })
  if (read.length > 0) run(caller, 'convert_half', backend, [written, read], [read.length, halfTypes[type], 0])
  return result
}
