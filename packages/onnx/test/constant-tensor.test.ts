import { describe, expect, it } from 'vitest'
import { tensorOf } from '../src/constant-tensor.js'

describe('tensorOf', () => {
  const bytes = Uint8Array.of(9, 0, 0, 128, 63, 0, 0, 0, 64)

  it.each([
    ['Uint8Array', bytes],
    // Buffer.slice does not copy: what it gives is as unaligned as before.
    ['Buffer', Buffer.from(bytes.buffer)],
  ])('copies unaligned raw data of a %s', (_, file) => {
    const value = tensorOf({ name: 'w', type: 'float32', dims: [2], raw: file.subarray(1) })
    expect([...value.data]).toEqual([1, 2])
  })
})
