import type { Device, OnStream } from './device.js'

/** A queue of a device: what it is given is done in order; streams go on beside each other. */
export interface Stream extends Disposable {
  readonly device: Device
  /** True where all that it was given is done. */
  readonly finished: boolean
  /**
   * Wait until all that it was given until now is done; this thread goes on meanwhile.
   * @throws NumericError or ArgumentError where a kernel refused a row since the last wait: buffers that it wrote are then unspecified;
   * DeviceError where the device failed
   */
  synchronize(): Promise<void>
  /** Go on only after the event. */
  wait(event: DeviceEvent): void
  /** The event comes when all that was given before is done; a new one unless given. */
  record(event?: DeviceEvent): DeviceEvent
  dispose(): void
}

/** A point in a stream. */
export interface DeviceEvent extends Disposable {
  readonly finished: boolean
  /** Milliseconds from an earlier event to this one, on the device's clock; waits for both. */
  since(earlier: DeviceEvent): number
  dispose(): void
}

/** What a capture kept. */
export interface Graph extends Disposable {
  /** Do all of it once, on this stream. */
  launch(options?: OnStream): void
  dispose(): void
}
