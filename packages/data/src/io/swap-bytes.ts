import { endianness } from 'node:os'

/** Turn elements of `width` bytes from the given order into this machine's, in place. */
export function toHostOrder(bytes: Uint8Array, width: number, order: 'BE' | 'LE'): void {
  if (width === 1 || order === endianness()) return
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (width === 2) view.swap16()
  else if (width === 4) view.swap32()
  else view.swap64()
}
