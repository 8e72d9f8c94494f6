import { ArgumentError, type Rng, type Tensor, tensor, tensorMap } from '@imago/tensor'
import type { Augment } from '../batch.js'
import { chosenInputs } from './chosen-inputs.js'
import { imageDims } from './image-dims.js'

export interface AffineOptions {
  /** The largest turn either way, in degrees; 0 unless given. */
  readonly turn?: number
  /** Each axis is stretched by a factor from [1 − scale, 1 + scale]; in [0, 1), 0 unless given. */
  readonly scale?: number
  /** The largest slant either way: pixels to the side for one pixel up; 0 unless given. */
  readonly shear?: number
  /** The largest shift along each axis, in pixels, not only whole ones; 0 unless given. */
  readonly shift?: number
  /** The image's height and width where rows are flat; known from the dims otherwise (the last two). */
  readonly height?: number
  readonly width?: number
  /** Which input; all that are float32 if left out. */
  readonly input?: string
}

/** Where a pixel of the new image comes from: (a·x + b·y + c, d·x + e·y + f), from the image's centre. */
type Map6 = readonly [a: number, b: number, c: number, d: number, e: number, f: number]

/**
 * Turns, stretches, slants and shifts each image about its centre, each by a random amount, uniform in its range; values between pixels are
 * interpolated (bilinear), what comes in from outside is 0. Planes of an image move together. Inputs as for `jitterAugment`.
 *
 * @throws ArgumentError for ranges that are none, ShapeError for rows that are no images
 */
export function affineAugment(options: AffineOptions): Augment {
  const { turn = 0, scale = 0, shear = 0, shift = 0 } = options
  for (const [name, value] of Object.entries({ turn, scale, shear, shift }))
    if (!(typeof value === 'number' && value >= 0 && value < (name === 'scale' ? 1 : Number.POSITIVE_INFINITY)))
      throw new ArgumentError('affineAugment', name, name === 'scale' ? 'in [0, 1)' : 'a finite number ≥ 0', value)
  return (batch, random) => {
    const chosen = chosenInputs('affineAugment', batch, options.input)
    const inputs = tensorMap(
      Object.keys(batch.inputs).map((name) => {
        const value = batch.inputs[name]!
        return [name, chosen.has(name) ? moved(name, value as Tensor<'float32'>, random.split(name)) : value]
      }),
    )
    return { ...batch, inputs }
  }

  function moved(name: string, value: Tensor<'float32'>, random: Rng): Tensor<'float32'> {
    const [count, planes, height, width] = imageDims('affineAugment', name, value, options)
    const out = new Float32Array(value.data.length)
    for (let i = 0; i < count; i++) {
      const map = drawn(random)
      for (let plane = i * planes; plane < (i + 1) * planes; plane++)
        resample(value.data, out, plane * height * width, height, width, map)
    }
    return tensor('float32', value.dims, out)
  }

  /** The inverse of: stretch, slant, turn, shift. */
  function drawn(random: Rng): Map6 {
    const within = (range: number): number => range * (2 * random.uniform() - 1)
    const angle = (within(turn) * Math.PI) / 180
    const [wide, high, slant] = [1 + within(scale), 1 + within(scale), within(shear)]
    const [dx, dy] = [within(shift), within(shift)]
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
    // Forward: x′ = cos·u − sin·v + dx, y′ = sin·u + cos·v + dy with u = wide·x + slant·y, v = high·y.
    const [a, b] = [cos / wide + (sin * slant) / (wide * high), sin / wide - (cos * slant) / (wide * high)]
    const [d, e] = [-sin / high, cos / high]
    return [a, b, -(a * dx + b * dy), d, e, -(d * dx + e * dy)]
  }
}

/** out(x, y) = in(map(x, y)), bilinear, 0 outside. */
function resample(
  source: Float32Array,
  out: Float32Array,
  start: number,
  height: number,
  width: number,
  [a, b, c, d, e, f]: Map6,
): void {
  const [cx, cy] = [(width - 1) / 2, (height - 1) / 2]
  const at = (x: number, y: number): number =>
    x >= 0 && x < width && y >= 0 && y < height ? source[start + y * width + x]! : 0
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [u, v] = [x - cx, y - cy]
      const [sx, sy] = [a * u + b * v + c + cx, d * u + e * v + f + cy]
      const [x0, y0] = [Math.floor(sx), Math.floor(sy)]
      const [p, q] = [sx - x0, sy - y0]
      out[start + y * width + x] =
        (1 - q) * ((1 - p) * at(x0, y0) + p * at(x0 + 1, y0)) + q * ((1 - p) * at(x0, y0 + 1) + p * at(x0 + 1, y0 + 1))
    }
}
