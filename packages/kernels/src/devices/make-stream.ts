import { ArgumentError, StateError } from '@imago/tensor'
import { answered, checked } from './answers.js'
import type { Handle } from './cuda-binding.js'
import type { Device, OnStream } from './device.js'
import type { Rig } from './rig.js'
import type { DeviceEvent, Graph, Stream } from './stream.js'

/** What is behind the streams and events that were made in this thread. */
const streams = new WeakMap<Stream, { readonly handle: Handle; open: boolean }>()
const events = new WeakMap<DeviceEvent, Handle>()

/** The stream's handle, if it is one of this device's. */
export function streamOf(rig: Rig, caller: string, stream: Stream): Handle {
  const known = streams.get(stream)
  if (known === undefined || stream.device !== rig.device)
    throw new ArgumentError(caller, 'stream', 'a stream of this device', stream)
  checkOpen(rig, caller)
  if (!known.open) throw new StateError(`${caller}: the stream was disposed`, 'Make a new one')
  return known.handle
}

/** The handle of the stream that is asked for, or of the current one. */
export function handleOf(rig: Rig, caller: string, options: OnStream | undefined): Handle {
  return streamOf(rig, caller, options?.stream ?? rig.current!)
}

export function checkOpen(rig: Rig, caller: string): void {
  if (!rig.open) throw new StateError(`${caller}: the device was disposed`, 'Open it again with openDevice()')
}

export function notCapturing(rig: Rig, caller: string): void {
  if (rig.captured !== null)
    throw new StateError(`${caller}: a capture is under way`, 'Wait and read after it, when its graph was launched')
}

/** The handle of a device's current stream, for a kernel. */
export function currentStream(device: Device): Handle {
  const known = streams.get(device.current)
  if (known === undefined || !known.open)
    throw new StateError('The device was disposed', 'Open it again with openDevice()')
  return known.handle
}

export function makeStream(rig: Rig, caller: string): Stream {
  const { cuda, index } = rig
  const known = { handle: checked(caller, () => cuda.stream(index)), open: true }
  const stream: Stream = {
    get device() {
      return rig.device
    },
    get finished() {
      return checked('stream.finished', () => cuda.finished(streamOf(rig, 'stream.finished', stream)))
    },
    async synchronize() {
      const handle = streamOf(rig, 'stream.synchronize', stream)
      notCapturing(rig, 'stream.synchronize')
      await answered('stream.synchronize', () => cuda.read(handle, null, null, false))
    },
    wait(event) {
      checked('stream.wait', () => cuda.wait(streamOf(rig, 'stream.wait', stream), eventOf('stream.wait', event)))
    },
    record(event = makeEvent(rig)) {
      const handle = streamOf(rig, 'stream.record', stream)
      notCapturing(rig, 'stream.record')
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

export function makeEvent({ cuda, index }: Rig): DeviceEvent {
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

/** `kept` lives as long as the graph: what it reads. */
export function makeGraph(rig: Rig, handle: Handle, kept: object[]): Graph {
  const { cuda } = rig
  let open = true
  const graph: Graph = {
    launch(options) {
      if (!open) throw new StateError('graph.launch: the graph was disposed', 'Capture it again')
      checked('graph.launch', () => cuda.launch(handle, handleOf(rig, 'graph.launch', options)))
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
