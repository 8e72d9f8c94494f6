import { philox } from '@imago/tensor'
import type { KernelOf } from '../signatures.js'

/** out_i = 0 with probability t/65536, else 65536/(65536 − t), t = round(65536·probability); 16 bits of Philox an element. */
export const dropoutMask: KernelOf<'dropout_mask'> = ([out], [n, probability, key0, key1, block]) => {
  const t = Math.round(65536 * probability)
  const kept = 65536 / (65536 - t)
  for (let first = 0; first < n; first += 8) {
    const counter = block + first / 8
    const words = philox([counter >>> 0, Math.floor(counter / 2 ** 32), 0, 0], key0, key1)
    for (let lane = 0; lane < 8 && first + lane < n; lane++) {
      const bits = (words[lane >> 1]! >>> (16 * (lane & 1))) & 0xffff
      out[first + lane] = bits >= t ? kept : 0
    }
  }
}
