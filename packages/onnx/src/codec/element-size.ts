import { FormatError } from '@imago/tensor'

/** Bits of one element by TensorProto.DataType; 0 where elements have no fixed size (strings). */
const bits: { readonly [code: number]: number } = {
  1: 32,
  2: 8,
  3: 8,
  4: 16,
  5: 16,
  6: 32,
  7: 64,
  8: 0,
  9: 8,
  10: 16,
  11: 64,
  12: 32,
  13: 64,
  14: 64,
  15: 128,
  16: 16,
  17: 8,
  18: 8,
  19: 8,
  20: 8,
  21: 4,
  22: 4,
  23: 4,
  24: 8,
  25: 2,
  26: 2,
}

/** Bytes that `count` elements of a type take; elements below a byte are packed. Undefined for a type that this version of the format does not have. */
export function byteSize(code: number, count: number): number | undefined {
  const size = bits[code]
  return size === undefined ? undefined : Math.ceil((count * size) / 8)
}

/** Dims as numbers, and how many elements they make. */
export function checkedDims(where: string, wide: readonly bigint[]): { dims: number[]; count: number } {
  let count = 1n
  for (const dim of wide) {
    if (dim < 0n) throw new FormatError(where, `has the negative size ${dim}`)
    count *= dim
  }
  const largest = BigInt(Number.MAX_SAFE_INTEGER)
  if (count > largest || wide.some((dim) => dim > largest))
    throw new FormatError(where, `has more elements than can be counted (dims ${wide.slice(0, 8).join(' × ')})`)
  return { dims: wide.map(Number), count: Number(count) }
}
