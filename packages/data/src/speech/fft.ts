import { ArgumentError } from '@imago/tensor'

/** A power spectrum of a fixed size. */
export interface Spectrum {
  /** |X_k|² for k = 0 … size / 2 of the frame, padded with zeros to the size, in float64. The result is used again by the next call. */
  power(frame: ArrayLike<number>): Float64Array
}

/**
 * The power spectrum of real frames by a radix-2 fast Fourier transform (Cooley & Tukey 1965):
 * X_k = Σ_n x_n · e^(−2πi·kn / size).
 *
 * @param size a power of two ≥ 2
 * @throws ArgumentError for another size, and for a frame that is longer
 */
export function spectrum(size: number): Spectrum {
  if (!(Number.isSafeInteger(size) && size >= 2 && Math.log2(size) % 1 === 0))
    throw new ArgumentError('spectrum', 'size', 'a power of two ≥ 2', size)
  const bits = Math.log2(size)
  const order = Uint32Array.from({ length: size }, (_, i) => reversed(i, bits))
  const cosine = Float64Array.from({ length: size / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / size))
  const sine = Float64Array.from({ length: size / 2 }, (_, k) => -Math.sin((2 * Math.PI * k) / size))
  const re = new Float64Array(size)
  const im = new Float64Array(size)
  const out = new Float64Array(size / 2 + 1)

  const power = (frame: ArrayLike<number>): Float64Array => {
    if (frame.length > size)
      throw new ArgumentError('Spectrum.power', 'frame', `at most ${size} samples`, `${frame.length} samples`)
    for (let i = 0; i < size; i++) re[i] = order[i]! < frame.length ? frame[order[i]!]! : 0
    im.fill(0)
    for (let half = 1; half < size; half *= 2) {
      const stride = size / 2 / half
      for (let from = 0; from < size; from += 2 * half)
        for (let k = 0; k < half; k++) {
          const [c, s] = [cosine[k * stride]!, sine[k * stride]!]
          const [a, b] = [from + k, from + k + half]
          const x = c * re[b]! - s * im[b]!
          const y = c * im[b]! + s * re[b]!
          re[b] = re[a]! - x
          im[b] = im[a]! - y
          re[a]! += x
          im[a]! += y
        }
    }
    for (let k = 0; k < out.length; k++) out[k] = re[k]! ** 2 + im[k]! ** 2
    return out
  }
  return { power }
}

function reversed(index: number, bits: number): number {
  let out = 0
  for (let bit = 0; bit < bits; bit++) out |= ((index >> bit) & 1) << (bits - 1 - bit)
  return out
}
