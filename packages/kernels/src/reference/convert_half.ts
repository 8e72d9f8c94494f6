import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from '../half.js'
import type { KernelOf } from '../signatures.js'

/** half = single as float16 (halfType 1) or bfloat16 (2), or single = half. */
export const convertHalf: KernelOf<'convert_half'> = ([single, half], [n, halfType, encode]) => {
  const [encoded, decoded] = halfType === 1 ? [encodeFloat16, decodeFloat16] : [encodeBfloat16, decodeBfloat16]
  for (let i = 0; i < n; i++)
    if (encode === 1) half[i] = encoded(single[i]!)
    else single[i] = decoded(half[i]!)
}
