import type { DataType, Tensor } from '@imago/tensor'
import type { Handle } from './cuda-binding.js'
import type { Device, OnStream } from './device.js'

/** The data types that a device holds. */
export type DeviceType = Exclude<DataType, 'int8' | 'int16' | 'uint64' | 'string' | 'int4' | 'uint4'>

/** The typed arrays behind them. */
export const deviceTypes: { readonly [type in DeviceType]: string } = {
  float32: 'Float32Array',
  float64: 'Float64Array',
  float16: 'Uint16Array',
  bfloat16: 'Uint16Array',
  int32: 'Int32Array',
  int64: 'BigInt64Array',
  uint8: 'Uint8Array',
  uint16: 'Uint16Array',
  uint32: 'Uint32Array',
  bool: 'Uint8Array',
}

/** Where elements lie on a device: what an ArrayBufferView says of memory of the host. */
export interface DeviceMemory {
  readonly device: Device
  readonly handle: Handle
  /** The same for all views of one allocation. */
  readonly buffer: object
  readonly byteOffset: number
  readonly byteLength: number
  readonly length: number
}

/** A dense tensor, row-major, in memory of a device. Its elements come and go by `write` and `read`. */
export interface DeviceTensor<T extends DeviceType = DeviceType> extends Disposable {
  readonly type: T
  readonly dims: readonly number[]
  readonly device: Device
  /** @throws StateError once it is disposed */
  readonly data: DeviceMemory
  /**
   * The elements, when the stream has come there; new memory, or that of `into` (same type and dims, best from `device.pinned`).
   * @throws NumericError or ArgumentError where a kernel on the stream refused a row since the last wait; StateError, DeviceError
   */
  read(options?: OnStream & { readonly into?: Tensor<T> }): Promise<Tensor<T>>
  /** Replace the elements. A `source` from `device.pinned` is read later, and must stay as it is until the stream has come there. */
  write(source: Tensor<T> | DeviceTensor<T>, options?: OnStream): void
  /** The elements from `first` on as a tensor of these dims, over the same memory; it lives on when this one is disposed. */
  view(first: number, dims: readonly number[]): DeviceTensor<T>
  /** Give the memory back once nothing enqueued before uses it. A second time does nothing. */
  dispose(): void
}

/** A tensor here or on a device. */
export type AnyTensor<T extends DataType = DataType> = Tensor<T> | DeviceTensor<T & DeviceType>

/** The tensor of type T in the place of X. */
export type Beside<X extends AnyTensor, T extends DeviceType> = X extends DeviceTensor ? DeviceTensor<T> : Tensor<T>

/** A number that a kernel computes: on a device it stays there, as a tensor without dims, since bringing it would mean to wait. */
export type Value<X extends AnyTensor> = X extends DeviceTensor ? DeviceTensor<'float64'> : number

/** Nobody else has this key; asked faster than a WeakSet, which shows where a loss takes microseconds. */
const ours: unique symbol = Symbol('device tensor')

/** Take `value` for a device tensor from here on. */
export function mark<X extends object>(value: X): X {
  Object.defineProperty(value, ours, { value: true })
  return value
}

/** True for what a device made, and nothing else. */
export function isDeviceTensor(value: unknown): value is DeviceTensor {
  return typeof value === 'object' && value !== null && (value as { [ours]?: true })[ours] === true
}
