import { ArgumentError, type Rng, rng as seeded, type Tensor, tensor } from '@imago/tensor'
import type { Dataset } from '../batch.js'
import { type ImageOptions, imageDataset } from '../idx/idx-dataset.js'
import type { TrainTest } from '../train-test.js'
import { type DigitStyle, digitDrawer } from './draw-digit.js'
import { SIDE } from './rasterize.js'

export interface DigitsOptions extends Omit<ImageOptions, 'classes'> {
  /** Seed of the drawings; 1 if left out. */
  readonly seed?: number
  /** A generator instead of a seed. */
  readonly rng?: Rng
  /** Images to learn from; 10,000 if left out. */
  readonly train?: number
  /** Images to count errors on; 5,000 if left out. */
  readonly test?: number
  /** How far drawings stray: 0 as printed, 1 as the demo has it. */
  readonly hardness?: number
}

/**
 * The embedded data set: digits 28×28 drawn by a seeded generator from stroke skeletons of our own, under affine and elastic
 * distortion, with pens of all widths, grain, foreign strokes and missing pieces. The same seed gives the same bytes on every
 * machine, and image i does not depend on how many are drawn. Rows are float32 in [0, 1].
 */
export function digits(options: DigitsOptions = {}): TrainTest {
  const { seed = 1, train = 10_000, test = 5_000, hardness = 1, rng: given, ...images } = options
  const random = given ?? seeded(seed)
  const part = (name: string, count: number): Dataset => {
    const drawn = drawDigits({ count, rng: random.split(name), hardness })
    return imageDataset(drawn.images, drawn.labels, { ...images, classes: 10 })
  }
  return { train: part('train', train), test: part('test', test) }
}

/**
 * Drawings of digits and what they show.
 *
 * @returns images [count, 28, 28] uint8 (0 background, 255 ink) and labels [count] int32
 */
export function drawDigits(options: { readonly count: number; readonly rng: Rng; readonly hardness?: number }): {
  images: Tensor<'uint8'>
  labels: Tensor<'int32'>
} {
  const { count, rng, hardness = 1 } = options
  if (!(Number.isSafeInteger(count) && count > 0 && count <= 10_000_000))
    throw new ArgumentError('digits', 'count', 'a whole number of images in [1, 10⁷]', count)
  if (!(hardness >= 0 && hardness <= 2)) throw new ArgumentError('digits', 'hardness', 'a number in [0, 2]', hardness)
  const size = SIDE * SIDE
  const pixels = new Uint8Array(count * size)
  const labels = new Int32Array(count)
  const draw = digitDrawer(styleOf(hardness))
  for (let i = 0; i < count; i++) {
    const random = rng.split(i)
    labels[i] = random.integer(10)
    draw(labels[i]!, random, pixels.subarray(i * size, (i + 1) * size))
  }
  return { images: tensor('uint8', [count, SIDE, SIDE], pixels), labels: tensor('int32', [count], labels) }
}

function styleOf(hardness: number): DigitStyle {
  return {
    turn: 0.084 * hardness,
    slant: 0.096 * hardness,
    stretch: 0.072 * hardness,
    shift: 0.84 * hardness,
    elastic: 0.78 * hardness,
    tremble: 0.017 * hardness,
    pen: [1.25, 0.18 * hardness],
    grain: 0.048 * hardness,
    scratch: 0.21 * hardness,
    wipe: 0.21 * hardness,
  }
}
