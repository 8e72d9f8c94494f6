import type { CudaBinding, Handle } from './devices/cuda-binding.js'
import type { KernelDescription } from './libraries/kernel-library.js'

/** What a kernel reads or writes: a typed array, or null for an argument that was left out. */
export type KernelBuffer =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint32Array
  | Uint16Array
  | Uint8Array
  | BigInt64Array
  | null

/**
 * The native addon as TypeScript sees it. One door for every kernel: buffers and numbers in the order that
 * packages/kernels/src/signatures.ts lists for that kernel. The face in this package has checked everything before.
 */
export interface Binding {
  /** The version of the C ABI (IMAGO_ABI_VERSION); the loader refuses another. */
  readonly abiVersion: number
  /** The names of the kernels in the registry. */
  kernels(): string[]
  /** Which instruction sets this processor and build can run, which one is in use, and the size of the thread pool. */
  info(): { isa: string; available: string[]; threads: number }
  /** Use this instruction set from now on (parity tests run every one). Throws where it is not available. */
  setIsa(isa: string): void
  /** Run a kernel. Throws an Error with the kernel's message where it refuses (for instance NaN in row 3). */
  call(kernel: string, buffers: KernelBuffer[], scalars: readonly number[]): void
  /** The same, each kernel a function of its own, which is faster by what looking it up and taking arrays apart costs. */
  readonly functions: { readonly [kernel: string]: (scalars: Float64Array, ...buffers: KernelBuffer[]) => void }
  /** Devices and the kernels that run on them. */
  readonly cuda?: CudaBinding
  /** Open a library of kernels at an absolute path. Throws an Error with `field`, `expected` and `got` where its table is refused. */
  loadLibrary(path: string): NativeLibrary
}

/** A library of kernels as the addon describes it. */
export interface NativeLibrary {
  readonly name: string
  readonly version: string
  readonly kernels: readonly NativeKernel[]
}

export interface NativeKernel extends KernelDescription {
  /** Run it on the CPU: buffers and scalars by position. Missing where it has no CPU function. */
  readonly call?: (buffers: readonly KernelBuffer[], scalars: readonly number[]) => void
  /** Enqueue it on a stream. Missing where it has no CUDA function. */
  readonly callOnDevice?: (buffers: readonly (Handle | null)[], scalars: readonly number[], stream: Handle) => void
}
