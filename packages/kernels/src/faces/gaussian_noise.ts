import { ArgumentError, dims, type Rng, type Tensor } from '@imago/tensor'
import { type Backend, run } from '../backend.js'
import type { AnyTensor, DeviceTensor } from '../devices/device-tensor.js'
import { checkDisjoint, finite, memory, whole } from '../guard.js'
import { resultIn } from './place.js'

export interface GaussianNoiseOptions<X extends AnyTensor = Tensor> {
  /** What the noise is added to, float32, any dims; left out: 0. */
  readonly x?: X | undefined
  /** The dims of the noise where there is neither `x` nor `out`. */
  readonly dims?: readonly number[] | undefined
  /** Where the result goes, float32; may be x itself. */
  readonly out?: X | undefined
  /** The standard deviation, ≥ 0. */
  readonly sigma: number
  /** Moves on by one Philox block for every 4 elements. */
  readonly rng: Rng
  readonly backend?: Backend | undefined
}

/**
 * x + σ·z, z independent standard normal numbers (Box & Muller 1958). The same random words on every backend, the same
 * numbers to about 1e-6.
 *
 * @throws ShapeError, ArgumentError, UnsupportedError for a backend that is not there
 */
export function gaussianNoise(options: GaussianNoiseOptions): Tensor<'float32'>
export function gaussianNoise(options: GaussianNoiseOptions<DeviceTensor>): DeviceTensor<'float32'>
export function gaussianNoise(options: GaussianNoiseOptions<AnyTensor>): AnyTensor<'float32'> {
  const caller = 'gaussianNoise'
  const { x, out, rng, backend } = options
  const shape = options.dims ?? out?.dims ?? x?.dims
  if (!Array.isArray(shape)) throw new ArgumentError(caller, 'dims', 'a list of sizes, or "x" or "out" a tensor', shape)
  for (const size of shape) whole(caller, 'dims', size, 0, Number.MAX_SAFE_INTEGER)
  const pattern = shape.join(' ')
  dims(caller, { x: [x, pattern, 'float32'], out: [out, pattern, 'float32'] })
  const sigma = finite(caller, 'sigma', options.sigma)
  if (sigma < 0) throw new ArgumentError(caller, 'sigma', '≥ 0', sigma)
  const read = x ? memory(caller, 'x', x, 'float32') : null
  const { result, written } = resultIn(caller, out, x, 'float32', shape)
  if (read && out) checkDisjoint(caller, 'out', written, { x: read }, read)
  const { key, block } = rng.reserve(Math.ceil(written.length / 4))
  if (written.length > 0)
    run(caller, 'gaussian_noise', backend, [read, written], [written.length, sigma, key[0], key[1], block])
  return result
}
