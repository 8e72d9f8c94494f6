import { ArgumentError, describe, ShapeError } from '@imago/tensor'
import type { KernelBuffer } from '../binding.js'
import type { BufferDescription, KernelDescription } from './kernel-library.js'

/** Buffers of a call by name; what may be left out may be missing, undefined or null. */
export type NamedBuffers = { readonly [name: string]: KernelBuffer | undefined }
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
): { buffers: KernelBuffer[]; scalars: number[] } {
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
): KernelBuffer {
  const { name, types, optional, count, factors } = spec
  if (value === undefined || value === null) {
    if (optional) return null
    throw new ArgumentError(caller, name, `a ${types.join(' or ')}`, value)
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
  const expected = factors.reduce((product, factor) => product * sizes.get(factor)!, count)
  if (view.length !== expected) {
    const rule = [...(count === 1 && factors.length > 0 ? [] : [count]), ...factors].join(' x ')
    throw new ShapeError(
      caller,
      name,
      `${factors.length > 0 ? `${rule} = ` : ''}${expected} elements`,
      `${view.length}`,
    )
  }
  return isHalf ? new Uint16Array(view.buffer, view.byteOffset, view.length) : view
}
