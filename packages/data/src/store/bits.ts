/** Write the lowest `width` ≤ 16 bits of a number at bit `at`, least significant first, into bytes that are 0 there. */
export function writeBits(bytes: Uint8Array, at: number, value: number, width: number): void {
  let byte = at >>> 3
  const shift = at & 7
  let rest = value << shift
  for (let left = width + shift; left > 0; left -= 8) {
    bytes[byte] = bytes[byte]! | (rest & 0xff)
    byte++
    rest >>>= 8
  }
}

/** The `width` ≤ 16 bits at bit `at`. */
export function readBits(bytes: Uint8Array, at: number, width: number): number {
  const byte = at >>> 3
  const word = bytes[byte]! | ((bytes[byte + 1] ?? 0) << 8) | ((bytes[byte + 2] ?? 0) << 16)
  return (word >>> (at & 7)) & ((1 << width) - 1)
}
