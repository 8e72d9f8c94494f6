import { ArgumentError, arrayTypes, elementCount, StateError, type Tensor, tensor } from '@imago/tensor'
import { whole } from '../guard.js'
import { answered, checked } from './answers.js'
import type { Handle } from './cuda-binding.js'
import { type DeviceTensor, type DeviceType, isDeviceTensor, mark } from './device-tensor.js'
import { handleOf, notCapturing } from './make-stream.js'
import type { Rig } from './rig.js'

/** What is in pinned memory. */
export const pinnedBuffers: WeakSet<object> = new WeakSet()

/** A tensor over memory of a device; `buffer` tells allocations apart. */
export function makeTensor<T extends DeviceType>(
  rig: Rig,
  type: T,
  dims: readonly number[],
  handle: Handle,
  buffer: object,
  byteOffset: number,
): DeviceTensor<T> {
  let open = true
  const length = elementCount(dims)
  const size = arrayTypes[type].BYTES_PER_ELEMENT
  const { cuda, device } = rig
  const memory = { device, handle, buffer, byteOffset, byteLength: length * size, length }

  /** The array of a host tensor of the same type and dims. */
  function arrayLike(caller: string, argument: string, other: Tensor<T>): ArrayBufferView {
    const { data } = other as { data: unknown }
    const fits = ArrayBuffer.isView(data) && data.byteLength === memory.byteLength
    if (other.type !== type || String(other.dims) !== String(made.dims) || !fits)
      throw new ArgumentError(caller, argument, `a ${type} tensor [${made.dims.join(', ')}]`, other)
    return data
  }

  const made: DeviceTensor<T> = mark({
    type,
    dims: [...dims],
    device,
    get data() {
      if (!open)
        throw new StateError(`A device tensor [${dims.join(', ')}] was disposed`, 'Keep it until you have read it')
      return memory
    },
    async read(options) {
      const caller = 'DeviceTensor.read'
      const { handle: from } = made.data
      const stream = handleOf(rig, caller, options)
      notCapturing(rig, caller)
      const result = options?.into ?? tensor(type, [...dims], new arrayTypes[type](length) as Tensor<T>['data'])
      const into = arrayLike(caller, 'into', result)
      const pinned = pinnedBuffers.has(into.buffer)
      await answered(caller, () => cuda.read(stream, from, into, pinned))
      return result
    },
    write(source, options) {
      const caller = 'DeviceTensor.write'
      const { handle: to } = made.data
      const stream = handleOf(rig, caller, options)
      if (isDeviceTensor(source)) {
        if (source.device !== device || source.type !== type || String(source.dims) !== String(made.dims))
          throw new ArgumentError(caller, 'source', `a ${type} tensor [${made.dims.join(', ')}] of this device`, source)
        checked(caller, () => cuda.copy(to, stream, source.data.handle))
        return
      }
      const from = arrayLike(caller, 'source', source as Tensor<T>)
      const pinned = pinnedBuffers.has(from.buffer)
      if (rig.captured !== null && !pinned)
        throw new StateError(
          `${caller}: a graph keeps no copy of ordinary memory`,
          'Write from device.pinned(…) in a capture',
        )
      checked(caller, () => cuda.write(to, stream, from, pinned))
      if (pinned) rig.captured?.push(from.buffer)
    },
    view(first, shape) {
      const caller = 'DeviceTensor.view'
      for (const extent of shape) whole(caller, 'dims', extent, 0, Number.MAX_SAFE_INTEGER)
      const count = elementCount(shape)
      whole(caller, 'first', first, 0, Math.max(0, length - count))
      if (count > length) throw new ArgumentError(caller, 'dims', `of at most ${length} elements`, [...shape])
      const part = checked(caller, () => cuda.view(made.data.handle, first, count))
      return makeTensor(rig, type, shape, part, buffer, byteOffset + first * size)
    },
    dispose() {
      if (!open) return
      open = false
      cuda.dispose(handle)
    },
    [Symbol.dispose]: () => made.dispose(),
  })
  return made
}
