/** The number that IEEE half precision `bits` stand for. */
export function decodeFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const word = new Uint32Array(1)
const float = new Float32Array(word.buffer)

/** The number that bfloat16 `bits` stand for: the upper half of a float32. */
export function decodeBfloat16(bits: number): number {
  word[0] = (bits & 0xffff) << 16
  return float[0]!
}
