import type { Rng } from '@imago/tensor'

/**
 * Nearly normal: the sum of a word's four bytes, mean 0 and deviation 1, never beyond ±3.45. No logarithm and no cosine, whose
 * last bits engines may compute differently: the embedded digits are the same everywhere.
 */
export function bell(random: Rng): number {
  return bellOf(random.uint32())
}

/** The same from a word at hand. */
export function bellOf(word: number): number {
  const sum = (word & 255) + ((word >>> 8) & 255) + ((word >>> 16) & 255) + (word >>> 24)
  // The deviation of four bytes: √(4·(256² − 1)/12) = √21845.
  return (sum - 510) / 147.80054127099805
}
