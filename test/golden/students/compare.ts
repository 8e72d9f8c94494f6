import type { Rng } from '@imago/tensor'

const SAMPLES = 64

export function norm(values: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2
  return Math.sqrt(sum)
}

/** Which elements of a weight are in the golden: as `sampled` of make.py. */
export function sampled(random: Rng, weight: string, count: number): number[] {
  if (count <= SAMPLES) return Array.from({ length: count }, (_, i) => i)
  const own = random.split(`sample ${weight}`)
  return Array.from({ length: SAMPLES }, () => own.uint32() % count)
}

/** The golden's elements of a weight after the last step. */
export function stored(sample: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(sample, 'base64')).buffer)
}

/** Root mean square. */
export function rms(values: ArrayLike<number>): number {
  return norm(values) / Math.sqrt(values.length)
}
