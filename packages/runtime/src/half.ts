const float = new Float32Array(1)
const word = new Uint32Array(float.buffer)

/** The IEEE half precision bits nearest to a number, ties to even. */
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
