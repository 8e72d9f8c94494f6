import { type Rng, rng } from '@imago/tensor'

/** The generator of a case: its name is its seed. */
export function drawFor(name: string): Rng {
  return rng(20150309).split(name)
}

/** Normal numbers times `scale`. */
export function normals(random: Rng, count: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, () => random.normal() * scale)
}

/** Uniform numbers in [−bound, bound). */
export function uniforms(random: Rng, count: number, bound: number): Float32Array {
  return Float32Array.from({ length: count }, () => (random.uniform() * 2 - 1) * bound)
}

/** Labels: mostly classes, now and then −1 (unlabelled) and −100 (ignored). */
export function labelsOf(random: Rng, rows: number, classes: number): Int32Array {
  return Int32Array.from({ length: rows }, () => {
    const kind = random.integer(8)
    return kind === 0 ? -1 : kind === 1 ? -100 : random.integer(classes)
  })
}

/** Row weights in [0.25, 2), now and then 0. */
export function weightsOf(random: Rng, rows: number): Float32Array {
  return Float32Array.from({ length: rows }, () => (random.integer(6) === 0 ? 0 : 0.25 + 1.75 * random.uniform()))
}

/** Bits of half-precision numbers of magnitude 2⁻⁴ … 2⁵, of either layout (fraction bits: 10 float16, 7 bfloat16). */
export function halves(random: Rng, count: number, fractionBits: 10 | 7): Uint16Array {
  const bias = fractionBits === 10 ? 15 : 127
  return Uint16Array.from({ length: count }, () => {
    const exponent = bias - 4 + random.integer(10)
    return (random.integer(2) << 15) | (exponent << fractionBits) | random.integer(1 << fractionBits)
  })
}
