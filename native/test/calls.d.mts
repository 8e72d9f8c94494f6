export declare const calls: {
  readonly [kernel: string]: readonly [buffers: readonly (ArrayBufferView | null)[], scalars: readonly number[]]
}
