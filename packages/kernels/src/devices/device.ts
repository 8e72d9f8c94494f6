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
import { checked, deviceError, refused } from './answers.js'
import type { CudaBinding, DeviceReport, Handle } from './cuda-binding.js'
import { reportCuda } from './cuda-report.js'
import { type DeviceTensor, type DeviceType, deviceTypes, isDeviceTensor, mark } from './device-tensor.js'
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

/** What is in pinned memory. */
const pinnedBuffers = new WeakSet<object>()

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
  const state = { open: true, captured: null as object[] | null }
  const own = makeStream('device.stream')
  let current = own

  const device: Device = {
    ...report,
    index,
    get current() {
      return current
    },
    freeMemory: () => checked('device.freeMemory', () => cuda.freeMemory(index)),
    allocate(type, dims) {
      const array = arrayOf('device.allocate', type)
      for (const size of dims) whole('device.allocate', 'dims', size, 0, Number.MAX_SAFE_INTEGER)
      alive('device.allocate')
      const handle = checked('device.allocate', () => cuda.allocate(index, array, elementCount(dims)))
      return tensorOver(type, dims, handle, {}, 0)
    },
    zeros(type, dims, options) {
      const made = device.allocate(type, dims)
      checked('device.zeros', () => cuda.zero(made.data.handle, handleOf('device.zeros', options)))
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
    stream: () => makeStream('device.stream'),
    event: makeEvent,
    use(stream, body) {
      const before = current
      streamOf('device.use', stream)
      current = stream
      try {
        return notAsync('device.use', body())
      } finally {
        current = before
      }
    },
    capture(body) {
      if (state.captured !== null) throw new StateError('device.capture: a capture is under way', 'End that one first')
      const stream = makeStream('device.capture')
      const handle = streams.get(stream)!.handle
      const kept: object[] = []
      checked('device.capture', () => cuda.begin(handle))
      state.captured = kept
      let graph: Handle
      try {
        device.use(stream, body)
      } catch (error) {
        try {
          cuda.dispose(cuda.end(handle))
        } catch {}
        throw error
      } finally {
        state.captured = null
      }
      try {
        graph = checked('device.capture', () => cuda.end(handle))
      } finally {
        stream.dispose()
      }
      return makeGraph(graph, kept)
    },
    synchronize: () => current.synchronize(),
    trim: () => checked('device.trim', () => cuda.trim(index)),
    dispose() {
      if (!state.open) return
      state.open = false
      own.dispose()
      checked('device.dispose', () => cuda.trim(index))
    },
    [Symbol.dispose]: () => device.dispose(),
  }

  function alive(caller: string): void {
    if (!state.open) throw new StateError(`${caller}: the device was disposed`, 'Open it again with openDevice()')
  }

  /** The stream's handle, if it is one of this device's. */
  function streamOf(caller: string, stream: Stream): Handle {
    const known = streams.get(stream)
    if (known !== undefined && stream.device !== device)
      throw new ArgumentError(caller, 'stream', 'a stream of this device', stream)
    if (known === undefined) throw new ArgumentError(caller, 'stream', 'a stream of this device', stream)
    alive(caller)
    if (!known.open) throw new StateError(`${caller}: the stream was disposed`, 'Make a new one')
    return known.handle
  }
  function handleOf(caller: string, options: OnStream | undefined): Handle {
    return streamOf(caller, options?.stream ?? current)
  }
  function notCapturing(caller: string): void {
    if (state.captured !== null)
      throw new StateError(`${caller}: a capture is under way`, 'Wait and read after it, when its graph was launched')
  }

  function tensorOver<T extends DeviceType>(
    type: T,
    dims: readonly number[],
    handle: Handle,
    buffer: object,
    byteOffset: number,
  ): DeviceTensor<T> {
    let open = true
    const length = elementCount(dims)
    const size = arrayTypes[type].BYTES_PER_ELEMENT
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
        const stream = handleOf(caller, options)
        notCapturing(caller)
        const result = options?.into ?? tensor(type, [...dims], new arrayTypes[type](length) as Tensor<T>['data'])
        const into = arrayLike(caller, 'into', result)
        const pinned = pinnedBuffers.has(into.buffer)
        await answered(caller, () => cuda.read(stream, from, into, pinned))
        return result
      },
      write(source, options) {
        const caller = 'DeviceTensor.write'
        const { handle: to } = made.data
        const stream = handleOf(caller, options)
        if (isDeviceTensor(source)) {
          if (source.device !== device || source.type !== type || String(source.dims) !== String(made.dims))
            throw new ArgumentError(
              caller,
              'source',
              `a ${type} tensor [${made.dims.join(', ')}] of this device`,
              source,
            )
          checked(caller, () => cuda.copy(to, stream, source.data.handle))
          return
        }
        const from = arrayLike(caller, 'source', source as Tensor<T>)
        const pinned = pinnedBuffers.has(from.buffer)
        if (state.captured !== null && !pinned)
          throw new StateError(
            `${caller}: a graph keeps no copy of ordinary memory`,
            'Write from device.pinned(…) in a capture',
          )
        checked(caller, () => cuda.write(to, stream, from, pinned))
        if (pinned) state.captured?.push(from.buffer)
      },
      view(first, shape) {
        const caller = 'DeviceTensor.view'
        for (const extent of shape) whole(caller, 'dims', extent, 0, Number.MAX_SAFE_INTEGER)
        const count = elementCount(shape)
        whole(caller, 'first', first, 0, Math.max(0, length - count))
        if (count > length) throw new ArgumentError(caller, 'dims', `of at most ${length} elements`, [...shape])
        const part = checked(caller, () => cuda.view(made.data.handle, first, count))
        return tensorOver(type, shape, part, buffer, byteOffset + first * size)
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

  function makeStream(caller: string): Stream {
    const known = { handle: checked(caller, () => cuda.stream(index)), open: true }
    const stream: Stream = {
      get device() {
        return device
      },
      get finished() {
        return checked('stream.finished', () => cuda.finished(streamOf('stream.finished', stream)))
      },
      async synchronize() {
        const handle = streamOf('stream.synchronize', stream)
        notCapturing('stream.synchronize')
        await answered('stream.synchronize', () => cuda.read(handle, null, null, false))
      },
      wait(event) {
        checked('stream.wait', () => cuda.wait(streamOf('stream.wait', stream), eventOf('stream.wait', event)))
      },
      record(event = makeEvent()) {
        const handle = streamOf('stream.record', stream)
        notCapturing('stream.record')
        checked('stream.record', () => cuda.record(eventOf('stream.record', event), handle))
        return event
      },
      dispose() {
        if (!known.open) return
        known.open = false
        cuda.dispose(known.handle)
      },
      [Symbol.dispose]: () => stream.dispose(),
    }
    streams.set(stream, known)
    return stream
  }

  function eventOf(caller: string, event: DeviceEvent): Handle {
    const handle = events.get(event)
    if (handle === undefined) throw new ArgumentError(caller, 'event', 'an event that was not disposed', event)
    return handle
  }

  function makeEvent(): DeviceEvent {
    const handle = checked('device.event', () => cuda.event(index))
    const event: DeviceEvent = {
      get finished() {
        return checked('event.finished', () => cuda.finished(eventOf('event.finished', event)))
      },
      since: (earlier) =>
        checked('event.since', () => cuda.elapsed(eventOf('event.since', earlier), eventOf('event.since', event))),
      dispose() {
        if (events.delete(event)) cuda.dispose(handle)
      },
      [Symbol.dispose]: () => event.dispose(),
    }
    events.set(event, handle)
    return event
  }

  function makeGraph(handle: Handle, kept: object[]): Graph {
    let open = true
    const graph: Graph = {
      launch(options) {
        if (!open) throw new StateError('graph.launch: the graph was disposed', 'Capture it again')
        checked('graph.launch', () => cuda.launch(handle, handleOf('graph.launch', options)))
      },
      dispose() {
        if (!open) return
        open = false
        kept.length = 0
        cuda.dispose(handle)
      },
      [Symbol.dispose]: () => graph.dispose(),
    }
    return graph
  }

  return device
}

/** What is behind the streams and events that were made in this thread. */
const streams = new WeakMap<Stream, { readonly handle: Handle; open: boolean }>()
const events = new WeakMap<DeviceEvent, Handle>()

/** The handle of a device's current stream, for a kernel. */
export function currentStream(device: Device): Handle {
  const known = streams.get(device.current)
  if (known === undefined || !known.open)
    throw new StateError('The device was disposed', 'Open it again with openDevice()')
  return known.handle
}

async function answered(caller: string, ask: () => Promise<string | null>): Promise<void> {
  let sentence: string | null
  try {
    sentence = await ask()
  } catch (error) {
    throw deviceError(caller, error)
  }
  if (sentence !== null) throw refused(sentence)
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
