import { ArgumentError } from '@imago/tensor'
import { spectrum } from './fft.js'

export interface LogMelOptions {
  /** Samples a second. */
  readonly rate: number
  /** Bands; default 40. */
  readonly bands?: number
  /** Hertz: where the lowest band begins and the highest ends. Default 64 and half the rate. */
  readonly from?: number
  readonly to?: number
  /** Milliseconds: length of a frame and step between frames. Default 25 and 10. */
  readonly window?: number
  readonly step?: number
  /** y_t = x_t − a·x_{t−1} before anything else; default 0.97. */
  readonly preEmphasis?: number
}

/** Frames [T, bands], row-major. */
export interface Frames {
  readonly length: number
  readonly bands: number
  readonly data: Float32Array
}

/**
 * Makes log mel-band energies of a signal, the features of acoustic models: pre-emphasis over the whole signal (the first sample
 * stays), frames under a Hamming window, power spectrum, triangles whose corners are equally far apart in mel (2595·log₁₀(1 + f/700)) and
 * whose sides are straight in Hz, log(energy + 1) in nats of the samples' own scale. T = 1 + ⌊(samples − window) / step⌋; a signal
 * shorter than a window has no frames. Triangles and windows are made once for all signals.
 *
 * @throws ArgumentError
 */
export function logMel(options: LogMelOptions): (samples: ArrayLike<number>) => Frames {
  const { rate, bands = 40, from = 64, to = rate / 2, window = 25, step = 10, preEmphasis = 0.97 } = options
  if (!(Number.isFinite(rate) && rate > 0)) throw new ArgumentError('logMel', 'rate', 'samples a second > 0', rate)
  if (!(Number.isSafeInteger(bands) && bands > 0))
    throw new ArgumentError('logMel', 'bands', 'a whole number ≥ 1', bands)
  if (!(from >= 0 && from < to && to <= rate / 2))
    throw new ArgumentError('logMel', 'from', `0 ≤ from < to ≤ ${rate / 2} Hz`, `${from} to ${to}`)
  const length = Math.round((rate * window) / 1000)
  const hop = Math.round((rate * step) / 1000)
  if (!(length >= 2 && hop >= 1))
    throw new ArgumentError(
      'logMel',
      'window',
      'two samples or more, with a step of one or more',
      `${window} and ${step} ms`,
    )
  const size = fftSize(length, rate, bands)
  const hamming = Float64Array.from({ length }, (_, i) => 0.54 - 0.46 * Math.cos((2 * Math.PI * i) / (length - 1)))
  const triangles = melTriangles(bands, from, to, rate / size, size / 2)
  const { power } = spectrum(size)

  return (samples) => {
    const count = samples.length < length ? 0 : 1 + Math.floor((samples.length - length) / hop)
    const data = new Float32Array(count * bands)
    const frame = new Float64Array(length)
    for (let t = 0; t < count; t++) {
      for (let i = 0; i < length; i++) {
        const at = t * hop + i
        const before = at === 0 ? 0 : samples[at - 1]!
        frame[i] = (samples[at]! - preEmphasis * before) * hamming[i]!
      }
      const energy = power(frame)
      triangles.forEach(({ first, weights }, band) => {
        let sum = 1
        for (let k = 0; k < weights.length; k++) sum += weights[k]! * energy[first + k]!
        data[t * bands + band] = Math.log(sum)
      })
    }
    return { length: count, bands, data }
  }
}

interface Triangle {
  /** The first spectral line with a weight above 0. */
  readonly first: number
  readonly weights: Float64Array
}

/** At least 512 lines, and more where the window asks for it: narrow low bands must meet a line. */
function fftSize(length: number, rate: number, bands: number): number {
  const wanted = Math.max(length, (512 * rate) / 8000, bands)
  return 2 ** Math.ceil(Math.log2(wanted))
}

/** @param line Hz between spectral lines @param last the number of the last line */
function melTriangles(bands: number, from: number, to: number, line: number, last: number): Triangle[] {
  const mel = (hz: number): number => 2595 * Math.log10(1 + hz / 700)
  const hertz = (value: number): number => 700 * (10 ** (value / 2595) - 1)
  const corners = Array.from({ length: bands + 2 }, (_, i) =>
    hertz(mel(from) + ((mel(to) - mel(from)) * i) / (bands + 1)),
  )
  return Array.from({ length: bands }, (_, band) => {
    const [low, middle, high] = corners.slice(band, band + 3) as [number, number, number]
    const first = Math.max(0, Math.ceil(low / line))
    const end = Math.min(last, Math.floor(high / line))
    const weights = Float64Array.from({ length: Math.max(0, end - first + 1) }, (_, i) => {
      const hz = (first + i) * line
      return Math.max(0, Math.min((hz - low) / (middle - low), (high - hz) / (high - middle)))
    })
    return { first, weights }
  })
}
