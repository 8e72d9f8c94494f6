import { philox } from '@imago/tensor'

/** out_i = 0 with probability t/65536, else 65536/(65536 − t), t = round(65536·probability); 16 bits of Philox an element. */
export function dropoutMask(
  [out]: readonly [Float32Array],
  [n, probability, key0, key1, block]: readonly [number, number, number, number, number],
): void {
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
