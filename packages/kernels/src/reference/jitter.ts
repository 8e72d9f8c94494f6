import { philox } from '@imago/tensor'
import type { KernelOf } from '../signatures.js'

/** out[y][x] = image[y − dy][x − dx], 0 outside: image i moves by (dx, dy) in [−shift, shift]², drawn from Philox block i. */
export const jitter: KernelOf<'jitter'> = ([images, out], [count, planes, height, width, shift, key0, key1, block]) => {
  for (let i = 0; i < count; i++) {
    const counter = block + i
    const words = philox([counter >>> 0, Math.floor(counter / 2 ** 32), 0, 0], key0, key1)
    const dx = Math.floor((words[0] * (2 * shift + 1)) / 2 ** 32) - shift
    const dy = Math.floor((words[1] * (2 * shift + 1)) / 2 ** 32) - shift
    for (let plane = i * planes; plane < (i + 1) * planes; plane++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const inside = y - dy >= 0 && y - dy < height && x - dx >= 0 && x - dx < width
          out[(plane * height + y) * width + x] = inside ? images[(plane * height + y - dy) * width + x - dx]! : 0
        }
  }
}
