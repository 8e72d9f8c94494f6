import type { Kernel } from '../reference/index.js'
import type { NamedBuffers, NamedScalars } from './checked-call.js'

/** A buffer of a kernel: its length is `count` times the product of the scalars that `factors` names. */
export interface BufferDescription {
  readonly name: string
  /** The arrays that are taken: `Float32Array`, …; a Uint16Array holds float16 or bfloat16. */
  readonly types: readonly string[]
  readonly optional: boolean
  readonly count: number
  readonly factors: readonly string[]
}

export interface ScalarDescription {
  readonly name: string
  /** A whole number ≥ 0, or any number. */
  readonly kind: 'size' | 'real'
}

export interface KernelDescription {
  readonly name: string
  readonly buffers: readonly BufferDescription[]
  readonly scalars: readonly ScalarDescription[]
  /** Who can compute it. */
  readonly backends: readonly ('cpu' | 'cuda')[]
}

/** Kernels that somebody else built, against <imago/kernel.h>. */
export interface KernelLibrary {
  readonly name: string
  readonly version: string
  /** The file, absolute. */
  readonly path: string
  readonly kernels: readonly KernelDescription[]
  /**
   * Run a kernel: buffers and scalars by name. Over arrays on the CPU, synchronously; over device tensors its CUDA function, on the
   * device's current stream.
   * @throws NotFoundError for a kernel that is not in the library, ArgumentError and ShapeError for a call that does not fit the
   * description, NumericError for NaN or infinity that the kernel refuses by row, ImagoError `ERR_KERNEL` for whatever else it
   * refuses, UnsupportedError for a kernel without a CPU function
   */
  call(kernel: string, buffers: NamedBuffers, scalars: NamedScalars): void
  /**
   * A kernel with its arguments by position, as `parityOf` of `@imago/kernels/testing` compares them: an Error carries the sentence
   * of the kernel as it is.
   */
  kernel(name: string): Kernel
}
