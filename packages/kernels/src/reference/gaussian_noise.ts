import { philox } from '@imago/tensor'
import type { KernelOf } from '../signatures.js'

/** out = x + sigma·z: Box–Muller on words (0, 1) and (2, 3) of a Philox block, cosine first. */
export const gaussianNoise: KernelOf<'gaussian_noise'> = ([x, out], [n, sigma, key0, key1, block]) => {
  for (let first = 0; first < n; first += 4) {
    const counter = block + first / 4
    const words = philox([counter >>> 0, Math.floor(counter / 2 ** 32), 0, 0], key0, key1)
    for (let lane = 0; lane < 4 && first + lane < n; lane++) {
      const radius = Math.sqrt(-2 * Math.log((words[lane & 2]! + 0.5) * 2 ** -32))
      const angle = 2 * Math.PI * words[(lane & 2) + 1]! * 2 ** -32
      const z = radius * (lane % 2 === 0 ? Math.cos(angle) : Math.sin(angle))
      out[first + lane] = (x?.[first + lane] ?? 0) + sigma * z
    }
  }
}
