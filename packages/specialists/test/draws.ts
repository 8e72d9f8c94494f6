import { rng } from '@imago/tensor'

/** Seeded random numbers for tests. */
export function draws(seed: number): {
  normals(count: number, spread?: number): Float32Array<ArrayBuffer>
  integer(bound: number): number
} {
  const random = rng(seed)
  return {
    normals: (count, spread = 1) => Float32Array.from({ length: count }, () => spread * random.normal()),
    integer: (bound) => random.integer(bound),
  }
}

/** softmax of one row by its formula, in float64. */
export function softmaxRow(z: Float32Array | Float64Array): Float64Array {
  const top = Math.max(...z)
  const e = Float64Array.from(z, (x) => Math.exp(x - top))
  const sum = e.reduce((a, b) => a + b)
  return e.map((x) => x / sum)
}
