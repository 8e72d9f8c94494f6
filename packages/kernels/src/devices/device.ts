import {
  ArgumentError,
  arrayTypes,
  elementCount,
  StateError,
  type Tensor,
  tensor,
  UnsupportedError,
} from '@imago/tensor'
import { whole } from '../guard.js'
import { native } from '../loader/load.js'
import { checked } from './answers.js'
import type { CudaBinding, DeviceReport, Handle } from './cuda-binding.js'
import { reportCuda } from './cuda-report.js'
import { type DeviceTensor, type DeviceType, deviceTypes } from './device-tensor.js'
import { checkOpen, handleOf, makeEvent, makeGraph, makeStream, streamOf } from './make-stream.js'
import { makeTensor, pinnedBuffers } from './make-tensor.js'
import type { Rig } from './rig.js'
import type { DeviceEvent, Graph, Stream } from './stream.js'

/** Which stream; the device's current one unless given. */
export interface OnStream {
  readonly stream?: Stream | undefined
}

/**
 * A GPU. Kernels of which all tensors are on it run on its current stream, in the order in which they are called, and return before
 * they are done.
 */
export interface Device extends DeviceReport, Disposable {
  readonly index: number
  /** The stream that kernels run on: the device's own, or that of `use` and `capture` while they last. */
  readonly current: Stream
  /** Memory that is neither in use nor kept for the next tensor, in bytes. */
  freeMemory(): number
  /** A tensor whose elements are not set. */
  allocate<T extends DeviceType>(type: T, dims: readonly number[]): DeviceTensor<T>
  zeros<T extends DeviceType>(type: T, dims: readonly number[], options?: OnStream): DeviceTensor<T>
  /** A copy of a tensor of the host. */
  upload<T extends DeviceType>(source: Tensor<T>, options?: OnStream): DeviceTensor<T>
  /** A tensor of the host that the device reads and writes by itself: copies to and from it do not hold up this thread. */
  pinned<T extends DeviceType>(type: T, dims: readonly number[]): Tensor<T>
  /** A stream of your own, beside the others. */
  stream(): Stream
  event(): DeviceEvent
  /** Run `body` (not async) with another current stream. */
  use<R>(stream: Stream, body: () => R): R
  /**
   * Call `body` (not async) and keep what it enqueues instead of doing it: one launch then does all of it, over the same tensors. What
   * it reads from pinned memory is read at each launch.
   */
  capture(body: () => void): Graph
  /** Wait for the current stream: `current.synchronize()`. */
  synchronize(): Promise<void>
  /** Give back to the driver what is kept of disposed tensors; waits for the device. */
  trim(): void
  /** Dispose the device's own stream and trim. Its tensors are yours to dispose. */
  dispose(): void
}

/**
 * Open a GPU.
 * @throws UnsupportedError with the reason where there is none, or not of this index
 */
export function openDevice(index = 0): Device {
  const caller = 'openDevice'
  const { devices, reason } = reportCuda()
  if (devices === undefined) throw new UnsupportedError(caller, reason ?? 'no device')
  const report = devices[whole(caller, 'index', index, 0, Number.MAX_SAFE_INTEGER)]
  if (report === undefined) throw new UnsupportedError(`${caller}: device ${index}`, `there are ${devices.length}`)
  return deviceOver(native().binding!.cuda!, index, report)
}

function deviceOver(cuda: CudaBinding, index: number, report: DeviceReport): Device {
  const rig: Rig = {
    cuda,
    index,
    get device() {
      return device
    },
    open: true,
    current: null,
    captured: null,
  }
  const own = makeStream(rig, 'openDevice')
  rig.current = own

  const device: Device = {
    ...report,
    index,
    get current() {
      return rig.current!
    },
    freeMemory: () => checked('device.freeMemory', () => cuda.freeMemory(index)),
    allocate(type, dims) {
      const array = arrayOf('device.allocate', type)
      for (const size of dims) whole('device.allocate', 'dims', size, 0, Number.MAX_SAFE_INTEGER)
      checkOpen(rig, 'device.allocate')
      const handle = checked('device.allocate', () => cuda.allocate(index, array, elementCount(dims)))
      return makeTensor(rig, type, dims, handle, {}, 0)
    },
    zeros(type, dims, options) {
      const made = device.allocate(type, dims)
      checked('device.zeros', () => cuda.zero(made.data.handle, handleOf(rig, 'device.zeros', options)))
      return made
    },
    upload(source, options) {
      const made = device.allocate(source.type, source.dims)
      try {
        made.write(source, options)
      } catch (error) {
        made.dispose()
        throw error
      }
      return made
    },
    pinned(type, dims) {
      arrayOf('device.pinned', type)
      for (const size of dims) whole('device.pinned', 'dims', size, 0, Number.MAX_SAFE_INTEGER)
      const Elements = arrayTypes[type]
      const length = elementCount(dims)
      const buffer = checked('device.pinned', () => cuda.pinned(length * Elements.BYTES_PER_ELEMENT))
      pinnedBuffers.add(buffer)
      return tensor(type, [...dims], new Elements(buffer, 0, length) as Tensor<typeof type>['data'])
    },
    stream: () => makeStream(rig, 'device.stream'),
    event: () => makeEvent(rig),
    use(stream, body) {
      const before = rig.current
      streamOf(rig, 'device.use', stream)
      rig.current = stream
      try {
        return notAsync('device.use', body())
      } finally {
        rig.current = before
      }
    },
    capture(body) {
      if (rig.captured !== null) throw new StateError('device.capture: a capture is under way', 'End that one first')
      const stream = makeStream(rig, 'device.capture')
      const handle = streamOf(rig, 'device.capture', stream)
      const kept: object[] = []
      checked('device.capture', () => cuda.begin(handle))
      rig.captured = kept
      let graph: Handle
      try {
        device.use(stream, body)
      } catch (error) {
        try {
          cuda.dispose(cuda.end(handle))
        } catch {}
        throw error
      } finally {
        rig.captured = null
      }
      try {
        graph = checked('device.capture', () => cuda.end(handle))
      } finally {
        stream.dispose()
      }
      return makeGraph(rig, graph, kept)
    },
    synchronize: () => device.current.synchronize(),
    trim: () => checked('device.trim', () => cuda.trim(index)),
    dispose() {
      if (!rig.open) return
      rig.open = false
      own.dispose()
      checked('device.dispose', () => cuda.trim(index))
    },
    [Symbol.dispose]: () => device.dispose(),
  }

  return device
}

function arrayOf(caller: string, type: DeviceType): string {
  const array = deviceTypes[type]
  if (array === undefined)
    throw new UnsupportedError(`${caller}: ${type}`, `devices hold ${Object.keys(deviceTypes).join(', ')}`)
  return array
}

function notAsync<R>(caller: string, result: R): R {
  if (result instanceof Promise)
    throw new ArgumentError(
      caller,
      'body',
      'a function that does not return a promise (what comes after an await would be on another stream)',
      result,
    )
  return result
}
