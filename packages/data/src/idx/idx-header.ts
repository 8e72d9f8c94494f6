import { type DataType, elementCount, FormatError } from '@imago/tensor'

export interface IdxHeader {
  readonly type: Exclude<DataType, 'string'>
  /** Bytes of one element. */
  readonly width: number
  readonly dims: readonly number[]
  /** Bytes before the first element. */
  readonly start: number
  /** Bytes of the whole file. */
  readonly total: number
}

const types: { readonly [code: number]: readonly [type: IdxHeader['type'], width: number] } = {
  8: ['uint8', 1],
  9: ['int8', 1],
  11: ['int16', 2],
  12: ['int32', 4],
  13: ['float32', 4],
  14: ['float64', 8],
}

/**
 * Read an IDX header: two zero bytes, a type byte, the number of dims, each dim as a big-endian uint32. Undefined while
 * `head` is too short to tell.
 *
 * @throws FormatError with the offset of what is wrong
 */
export function idxHeader(head: Uint8Array, name: string): IdxHeader | undefined {
  if (head.byteLength < 4) return undefined
  const [zero0, zero1, code, rank] = head as unknown as [number, number, number, number]
  if (zero0 !== 0 || zero1 !== 0) {
    const swapped = code === 0 && rank === 0 && types[zero1] !== undefined && zero0 > 0
    throw new FormatError(
      `${name}, byte 0`,
      swapped ? 'its header is little-endian; IDX is big-endian' : 'is no IDX file (it must begin with two zero bytes)',
    )
  }
  const known = types[code]
  if (known === undefined) throw new FormatError(`${name}, byte 2`, `0x${code.toString(16)} is no IDX type`)
  if (rank === 0) throw new FormatError(`${name}, byte 3`, 'has no dims')
  const start = 4 + 4 * rank
  if (head.byteLength < start) return undefined
  const view = new DataView(head.buffer, head.byteOffset)
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i))
  const empty = dims.indexOf(0)
  if (empty >= 0) throw new FormatError(`${name}, byte ${4 + 4 * empty}`, `dim ${empty} is 0: there is no data`)
  const [type, width] = known
  const total = start + elementCount(dims) * width
  if (!Number.isSafeInteger(total))
    throw new FormatError(`${name}, byte 4`, `dims ${dims.slice(0, 8).join(' × ')} are more than any file holds`)
  return { type, width, dims, start, total }
}
