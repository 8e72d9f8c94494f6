/** The number that IEEE half precision `bits` stand for. */
export function decodeFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  if (exponent === 0) return sign * fraction * 2 ** -24
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** The IEEE half precision bits nearest to a number, ties to even; a NaN keeps its sign and is quiet. */
export function encodeFloat16(value: number): number {
  float[0] = value
  const bits = word[0]!
  const sign = (bits >>> 16) & 0x8000
  const exponent = (bits >>> 23) & 0xff
  const fraction = bits & 0x7fffff
  if (exponent === 0xff) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200)
  const scale = exponent - 112
  if (scale >= 31) return sign | 0x7c00
  if (scale < -10) return sign
  // Below the normal range the leading one becomes part of the fraction, which is shifted further down.
  const whole = scale > 0 ? fraction : fraction | 0x800000
  const shift = scale > 0 ? 13 : 14 - scale
  const kept = (scale > 0 ? scale << 10 : 0) + Math.floor(whole / 2 ** shift)
  const rest = whole % 2 ** shift
  const half = 2 ** (shift - 1)
  return sign | (rest > half || (rest === half && kept % 2 === 1) ? kept + 1 : kept)
}

const word = new Uint32Array(1)
const float = new Float32Array(word.buffer)

/** The number that bfloat16 `bits` stand for: the upper half of a float32. */
export function decodeBfloat16(bits: number): number {
  word[0] = (bits & 0xffff) << 16
  return float[0]!
}

/** The bfloat16 bits nearest to a float32 number, ties to even; a NaN keeps its sign and is quiet. */
export function encodeBfloat16(value: number): number {
  float[0] = value
  const bits = word[0]!
  if (Number.isNaN(value)) return ((bits >>> 16) & 0x8000) | 0x7fc0
  const kept = bits >>> 16
  const rest = bits & 0xffff
  return rest > 0x8000 || (rest === 0x8000 && kept % 2 === 1) ? kept + 1 : kept
}
