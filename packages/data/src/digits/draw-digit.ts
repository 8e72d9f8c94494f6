import type { Rng } from '@imago/tensor'
import { bell, bellOf } from './bell.js'
import { flatten } from './flatten.js'
import { glyphs } from './glyphs.js'
import { rasterize, SIDE } from './rasterize.js'
import { drawWarp, type WarpSizes } from './warp.js'

/** How far drawings stray from their skeletons. */
export interface DigitStyle extends WarpSizes {
  /** Deviation of each skeleton point, in units of the digit's size. */
  readonly tremble: number
  /** Mean radius of the pen and its deviation, in pixels. */
  readonly pen: readonly [mean: number, deviation: number]
  /** Deviation of the grey noise on every pixel, 1 = full ink. */
  readonly grain: number
  /** Probability of a foreign stroke across the image. */
  readonly scratch: number
  /** Probability that a square of the image is wiped out. */
  readonly wipe: number
}

/** Writes images of digits one after another, with scratch memory of its own. */
export function digitDrawer(style: DigitStyle): (digit: number, random: Rng, out: Uint8Array) => void {
  const ink = new Float32Array(SIDE * SIDE)
  const distances = new Float32Array(SIDE * SIDE)
  return (digit, random, out) => {
    const variants = glyphs[digit]!
    const glyph = variants[random.integer(variants.length)]!
    const warp = drawWarp(random, style)
    const chains = glyph.map((stroke) => {
      const points = stroke.points.flatMap(([x, y]) => [
        x + style.tremble * bell(random),
        y + style.tremble * bell(random),
      ])
      const chain = flatten(points, stroke)
      warp(chain)
      return chain
    })
    if (random.uniform() < style.scratch) chains.push(scratch(random))
    const [mean, deviation] = style.pen
    rasterize(chains, Math.max(0.35, mean + deviation * bell(random)), ink, distances)
    if (random.uniform() < style.wipe) wipe(random, ink)
    const strength = 1 - 0.35 * random.uniform()
    for (let p = 0; p < ink.length; p++) {
      const value = 255 * (strength * ink[p]! + style.grain * bellOf(random.uint32()))
      out[p] = value < 0 ? 0 : value > 255 ? 255 : Math.floor(value + 0.5)
    }
  }
}

/** A short straight stroke anywhere. */
function scratch(random: Rng): number[] {
  const x = SIDE * random.uniform()
  const y = SIDE * random.uniform()
  return [x, y, x + 5 * bell(random), y + 5 * bell(random)]
}

/** Wipe a square of 3 to 6 pixels out. */
function wipe(random: Rng, ink: Float32Array): void {
  const size = 3 + random.integer(4)
  const left = 4 + random.integer(SIDE - 8 - size)
  const top = 4 + random.integer(SIDE - 8 - size)
  for (let y = top; y < top + size; y++) ink.fill(0, y * SIDE + left, y * SIDE + left + size)
}
