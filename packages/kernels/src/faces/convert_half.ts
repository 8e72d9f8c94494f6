import { dims, type Tensor, tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import { checkDisjoint, memory } from '../guard.js'

export interface ConvertHalfOptions {
  /** What is converted, any dims. */
  readonly x: Tensor
  /** Where the result goes, same dims. */
  readonly out?: Tensor | undefined
  readonly backend?: Backend | undefined
}

type Half = 'float16' | 'bfloat16'
const halfTypes = { float16: 1, bfloat16: 2 } as const

/**
 * float32 → float16, to nearest with ties to even: numbers below 2⁻¹⁴ become subnormal, from 65520 on infinite; NaN stays NaN.
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function toFloat16(options: ConvertHalfOptions): Tensor<'float16'> {
  return encode('toFloat16', 'float16', options)
}

/** float32 → bfloat16, to nearest with ties to even; NaN stays NaN. Errors as of `toFloat16`. */
export function toBfloat16(options: ConvertHalfOptions): Tensor<'bfloat16'> {
  return encode('toBfloat16', 'bfloat16', options)
}

/** float16 → float32, exact. Errors as of `toFloat16`. */
export function fromFloat16(options: ConvertHalfOptions): Tensor<'float32'> {
  return decode('fromFloat16', 'float16', options)
}

/** bfloat16 → float32, exact. Errors as of `toFloat16`. */
export function fromBfloat16(options: ConvertHalfOptions): Tensor<'float32'> {
  return decode('fromBfloat16', 'bfloat16', options)
}

function encode<T extends Half>(caller: string, type: T, { x, out, backend }: ConvertHalfOptions): Tensor<T> {
  dims(caller, { x: [x, '...', 'float32'] })
  dims(caller, { out: [out, x.dims.join(' '), type] })
  const read = memory(caller, 'x', x, 'float32')
  const written: Uint16Array = out ? memory(caller, 'out', out, type) : new Uint16Array(read.length)
  checkDisjoint(caller, 'out', written, { x: read })
  if (read.length > 0) run(caller, 'convert_half', backend, [read, written], [read.length, halfTypes[type], 1])
  return tensor(type, [...x.dims], written) as Tensor<T>
}

function decode(caller: string, type: Half, { x, out, backend }: ConvertHalfOptions): Tensor<'float32'> {
  dims(caller, { x: [x, '...', type] })
  dims(caller, { out: [out, x.dims.join(' '), 'float32'] })
  const read = memory(caller, 'x', x, type)
  const written = out ? memory(caller, 'out', out, 'float32') : new Float32Array(read.length)
  checkDisjoint(caller, 'out', written, { x: read })
  if (read.length > 0) run(caller, 'convert_half', backend, [written, read], [read.length, halfTypes[type], 0])
  return tensor('float32', [...x.dims], written)
}
