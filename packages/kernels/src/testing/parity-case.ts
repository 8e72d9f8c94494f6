import type { KernelBuffer } from '../binding.js'

/** One call of a kernel: buffers and scalars in the order of `signatures`. */
export interface KernelCall {
  readonly buffers: readonly KernelBuffer[]
  readonly scalars: readonly number[]
}

export interface ParityCase {
  readonly name: string
  /** The call, made anew each time and always the same. One array in two places means in place. */
  make(): KernelCall
  /** The kernel must refuse the call with a message like this, and write nothing. */
  readonly refuses?: RegExp
}

/** What a judge says about one output of a call: the worst element and what it was allowed. */
export interface Verdict {
  readonly output: string
  readonly error: number
  readonly tolerance: number
}

/** Compares what the kernel wrote (`got`) with what the reference wrote (`want`); `call` holds the inputs as they were. */
export type Judge = (call: KernelCall, want: KernelCall, got: KernelCall) => Verdict[]

/** All that parity needs to know of a kernel. */
export interface ParityTable {
  readonly cases: readonly ParityCase[]
  readonly judge: Judge
  /** Positions of the buffers that the kernel writes. */
  readonly outputs: readonly number[]
}
