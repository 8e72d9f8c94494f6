/** Something of the addon's, opaque: memory of a device, a stream, an event, a graph. */
export interface Handle {
  readonly imago: unique symbol
}

/** A device as CUDA describes it. */
export interface DeviceReport {
  readonly name: string
  /** Bytes. */
  readonly memory: number
  /** As in `9.0`. */
  readonly capability: string
  readonly multiprocessors: number
  /** No GPU: the kernels as plain C++ over memory of the host, for tests. */
  readonly emulated: boolean
}

/** The library of CUDA kernels as the addon found it. */
export interface CudaReport {
  readonly path: string
  /** Why it cannot be used; then nothing else is there. */
  readonly reason?: string
  readonly devices?: readonly DeviceReport[]
  /** The kernels that it has. */
  readonly kernels?: readonly string[]
}

/**
 * What the addon does with devices. Everything is enqueued on a stream and nothing waits, but where it says so. Throws an Error
 * whose message begins with `CUDA: ` where CUDA does.
 */
export interface CudaBinding {
  /** Opens the library the first time. Never throws for a machine without CUDA. */
  describe(): CudaReport
  /** `type` is the name of a typed array. */
  allocate(device: number, type: string, length: number): Handle
  /** Elements of the same memory. */
  view(memory: Handle, first: number, length: number): Handle
  /** `length` elements of another type at a byte offset of the same memory. */
  reinterpret(memory: Handle, byteOffset: number, type: string, length: number): Handle
  /** `pinned`: the array is read when the stream has come there, else before this returns. */
  write(memory: Handle, stream: Handle, array: ArrayBufferView, pinned: boolean): void
  copy(to: Handle, stream: Handle, from: Handle): void
  zero(memory: Handle, stream: Handle): void
  /**
   * Waits, on a thread of its own, for what the stream has been given until now, and brings the memory into the array. Resolves to the
   * sentence with which a kernel refused a row since the last wait, or null.
   */
  read(stream: Handle, memory: Handle | null, array: ArrayBufferView | null, pinned: boolean): Promise<string | null>
  stream(device: number): Handle
  event(device: number): Handle
  record(event: Handle, stream: Handle): void
  wait(stream: Handle, event: Handle): void
  /** Milliseconds; waits for both. */
  elapsed(from: Handle, to: Handle): number
  /** True where a stream has done all that it was given, or an event has come. */
  finished(streamOrEvent: Handle): boolean
  begin(stream: Handle): void
  end(stream: Handle): Handle
  launch(graph: Handle, stream: Handle): void
  /** Memory of the host that a device reads and writes by itself. */
  pinned(bytes: number): ArrayBuffer
  freeMemory(device: number): number
  trim(device: number): void
  dispose(handle: Handle): void
  call(kernel: string, buffers: readonly (Handle | null)[], scalars: readonly number[], stream: Handle): void
}
