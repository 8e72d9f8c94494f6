import { ArgumentError, describe, ShapeError } from '@imago/tensor'
import type { KernelBuffer } from '../binding.js'
import type { Device } from '../devices/device.js'
import { type DeviceMemory, type DeviceTensor, deviceTypes, isDeviceTensor } from '../devices/device-tensor.js'
import type { BufferDescription, KernelDescription } from './kernel-library.js'

/**
 * Buffers of a call by name; what may be left out may be missing, undefined or null. Arrays for the CPU, tensors of one device for its
 * current stream.
 */
export type NamedBuffers = { readonly [name: string]: KernelBuffer | DeviceTensor | undefined }
/** Scalars of a call by name. */
export type NamedScalars = { readonly [name: string]: number }

/**
 * A call by name as a call by position, checked against the kernel's description: names, kinds of arrays, sizes, lengths.
 * Every property is read once.
 * @throws ArgumentError, ShapeError naming the kernel, the argument, what was expected and what came
 */
export function positional(
  caller: string,
  kernel: KernelDescription,
  buffers: NamedBuffers,
  scalars: NamedScalars,
): { buffers: (KernelBuffer | DeviceMemory)[]; scalars: number[] } {
  checkNames(caller, 'buffers', buffers, kernel.buffers)
  checkNames(caller, 'scalars', scalars, kernel.scalars)
  const sizes = new Map<string, number>()
  for (const { name, kind } of kernel.scalars) {
    const value: unknown = scalars[name]
    if (typeof value !== 'number') throw new ArgumentError(caller, name, 'a number', value)
    if (kind === 'size' && !(Number.isSafeInteger(value) && value >= 0))
      throw new ArgumentError(caller, name, 'a whole number in [0, 2^53)', value)
    sizes.set(name, value)
  }
  return {
    buffers: kernel.buffers.map((spec) => checkBuffer(caller, spec, buffers[spec.name], sizes)),
    scalars: [...sizes.values()],
  }
}

function checkNames(
  caller: string,
  what: string,
  given: { readonly [name: string]: unknown },
  known: readonly { readonly name: string }[],
): void {
  if (typeof given !== 'object' || given === null)
    throw new ArgumentError(caller, what, 'an object: the values by name', given)
  const names = known.map(({ name }) => name)
  for (const name of Object.keys(given))
    if (!names.includes(name)) throw new ArgumentError(caller, what, `of these names: ${names.join(', ')}`, name)
}

function checkBuffer(
  caller: string,
  spec: BufferDescription,
  value: unknown,
  sizes: ReadonlyMap<string, number>,
): KernelBuffer | DeviceMemory {
  const { name, types, optional, count, factors } = spec
  if (value === undefined || value === null) {
    if (optional) return null
    throw new ArgumentError(caller, name, `a ${types.join(' or ')}`, value)
  }
  const expected = factors.reduce((product, factor) => product * sizes.get(factor)!, count)
  const checkLength = (length: number): void => {
    if (length === expected) return
    const rule = [...(count === 1 && factors.length > 0 ? [] : [count]), ...factors].join(' x ')
    const spelled = `${factors.length > 0 ? `${rule} = ` : ''}${expected} elements`
    throw new ShapeError(caller, name, spelled, `${length}`)
  }
  if (isDeviceTensor(value)) {
    const { data } = value
    const array = deviceTypes[value.type]
    if (!types.includes(array)) throw new ShapeError(caller, name, `a ${types.join(' or ')}`, value.type)
    checkLength(data.length)
    return data
  }
  const tag = ArrayBuffer.isView(value)
    ? (value as unknown as { [Symbol.toStringTag]?: string })[Symbol.toStringTag]
    : ''
  const isHalf = tag === 'Float16Array' && types.includes('Uint16Array')
  if (!isHalf && !types.includes(tag ?? ''))
    throw new ShapeError(caller, name, `a ${types.join(' or ')}`, describe(value))
  const view = value as NonNullable<KernelBuffer>
  if (Object.prototype.toString.call(view.buffer) === '[object SharedArrayBuffer]')
    throw new ArgumentError(caller, name, 'in memory of its own (copy it: another thread may write)', view.buffer)
  checkLength(view.length)
  return isHalf ? new Uint16Array(view.buffer, view.byteOffset, view.length) : view
}

/** The device of a call whose buffers are all there, or null where all are arrays. */
export function deviceOf(
  caller: string,
  kernel: KernelDescription,
  buffers: readonly (KernelBuffer | DeviceMemory)[],
): Device | null {
  const places = buffers.map((buffer) =>
    buffer === null ? undefined : ArrayBuffer.isView(buffer) ? null : buffer.device,
  )
  const first = places.find((place) => place != null) ?? null
  const other = places.findIndex((place) => place !== undefined && place !== first)
  if (other < 0) return first
  const got = places[other] === null ? 'on the host' : 'on another device'
  throw new ArgumentError(caller, kernel.buffers[other]!.name, 'on the device of the other tensors', got)
}
