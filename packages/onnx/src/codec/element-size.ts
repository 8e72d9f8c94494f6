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

const largest = BigInt(Number.MAX_SAFE_INTEGER)

/** Dims as numbers, and how many elements they make. */
export function checkedDims(where: string, wide: readonly bigint[]): { dims: number[]; count: number } {
  let count = wide.includes(0n) ? 0n : 1n
  for (const dim of wide) {
    if (dim < 0n) throw new FormatError(where, `has the negative size ${dim}`)
    count *= dim
    // Looked at in each round: a product of a million sizes would be a number of megabytes.
    if (count > largest || dim > largest)
      throw new FormatError(where, `has more elements than can be counted (dims ${spellDims(wide)})`)
  }
  return { dims: wide.map(Number), count: Number(count) }
}

/** Dims as messages show them: a damaged file may list millions. */
export function spellDims(dims: readonly (number | bigint)[] = []): string {
  return `[${dims.slice(0, 8).join(', ')}${dims.length > 8 ? ', …' : ''}]`
}
