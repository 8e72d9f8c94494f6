import { ArgumentError, describe, ShapeError, type Tensor } from '@imago/tensor'
import { type AnyTensor, type DeviceMemory, isDeviceTensor } from './devices/device-tensor.js'

/** The arrays that kernels read and write, by tensor type. */
export interface Memory {
  float32: Float32Array
  float64: Float64Array
  float16: Uint16Array
  bfloat16: Uint16Array
  int32: Int32Array
  uint8: Uint8Array
}

const arrayOf = {
  float32: 'Float32Array',
  float64: 'Float64Array',
  float16: 'Uint16Array',
  bfloat16: 'Uint16Array',
  int32: 'Int32Array',
  uint8: 'Uint8Array',
} as const

/** What of an ArrayBufferView says which memory it is: device memory has the same. */
export interface MemoryRange {
  readonly buffer: object
  readonly byteOffset: number
  readonly byteLength: number
}

/**
 * The array behind a tensor whose dims are checked, fit for a kernel: of the class that the type says, and not shared with
 * other threads, which could write while the kernel reads. Or the memory of a device tensor.
 */
export function memory<T extends keyof Memory>(caller: string, argument: string, value: Tensor, type: T): Memory[T]
export function memory<T extends keyof Memory>(
  caller: string,
  argument: string,
  value: AnyTensor,
  type: T,
): Memory[T] | DeviceMemory
export function memory<T extends keyof Memory>(
  caller: string,
  argument: string,
  value: AnyTensor,
  type: T,
): Memory[T] | DeviceMemory {
  if (isDeviceTensor(value)) return value.data
  const data: unknown = value.data
  const tag = ArrayBuffer.isView(data) ? (data as unknown as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] : ''
  const isHalf = tag === 'Float16Array' && type === 'float16'
  if (!isHalf && tag !== arrayOf[type])
    throw new ShapeError(caller, argument, `${type} over a ${arrayOf[type]}`, describe(data))
  const view = data as Memory[T]
  if (isShared(view.buffer))
    throw new ArgumentError(caller, argument, 'in memory of its own (copy it: another thread may write)', view.buffer)
  return isHalf ? (new Uint16Array(view.buffer, view.byteOffset, view.length) as Memory[T]) : view
}

/** A buffer of another realm has another prototype, and is asked by its tag. */
function isShared(buffer: ArrayBufferLike): boolean {
  if (Object.getPrototypeOf(buffer) === ArrayBuffer.prototype) return false
  return Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]'
}

/** Refuse memory that is written and overlaps memory that is read; `sameAs` may be the very same array. */
export function checkDisjoint(
  caller: string,
  argument: string,
  written: MemoryRange,
  others: { readonly [name: string]: MemoryRange | null },
  sameAs?: MemoryRange,
): void {
  for (const name in others) checkApart(caller, argument, written, name, others[name], sameAs)
}

/** The same with one array that is read. */
export function checkApart(
  caller: string,
  argument: string,
  written: MemoryRange,
  name: string,
  read: MemoryRange | null | undefined,
  sameAs?: MemoryRange,
): void {
  if (read == null || read.buffer !== written.buffer) return
  const same = read.byteOffset === written.byteOffset && read.byteLength === written.byteLength
  if (same && sameAs === read) return
  if (
    written.byteOffset < read.byteOffset + read.byteLength &&
    read.byteOffset < written.byteOffset + written.byteLength
  )
    throw new ArgumentError(caller, argument, `apart from the memory of "${name}"`, 'overlapping memory')
}

/** A finite number > 0 that float32 holds as a normal number: kernels take smaller ones for 0. */
export function positive(caller: string, argument: string, value: unknown): number {
  if (typeof value !== 'number' || !(value >= 2 ** -126 && Number.isFinite(Math.fround(value))))
    throw new ArgumentError(caller, argument, 'a finite number > 0 (of float32, at least 2⁻¹²⁶)', value)
  return value
}

/** A finite number, in float32 too. */
export function finite(caller: string, argument: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(Math.fround(value)))
    throw new ArgumentError(caller, argument, 'a finite number (of float32)', value)
  return value
}

/** The temperatures at which float32 holds (q − p)/T; check_temperature in native/src/cpu/kernel.h has the same. */
const temperatures = { least: 1e-38, most: 1e30 }

/**
 * T of a softmax: a number in [1e-38, 1e30], on every backend.
 * @throws ArgumentError naming the caller
 */
export function checkTemperature(caller: string, value: unknown): number {
  const { least, most } = temperatures
  if (typeof value !== 'number' || !(value >= least && value <= most))
    throw new ArgumentError(caller, 'temperature', `a number in [${least}, ${most}]`, value)
  return value
}

/** A number in [0, 1], or in [0, 1) where `open` is set. */
export function fraction(caller: string, argument: string, value: unknown, open = false): number {
  if (typeof value !== 'number' || !(value >= 0 && (open ? value < 1 : value <= 1)))
    throw new ArgumentError(caller, argument, `a number in [0, 1${open ? ')' : ']'}`, value)
  return value
}

/** A whole number in [from, to]. */
export function whole(caller: string, argument: string, value: unknown, from: number, to: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < from || value > to)
    throw new ArgumentError(caller, argument, `a whole number in [${from}, ${to}]`, value)
  return value
}

/** A finite number ≥ 0: what a term is multiplied by. */
export function factor(caller: string, argument: string, value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0 && Number.isFinite(Math.fround(value))))
    throw new ArgumentError(caller, argument, 'a finite number ≥ 0', value)
  return value
}
