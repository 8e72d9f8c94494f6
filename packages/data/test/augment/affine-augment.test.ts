import { rng, type Tensor, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AffineOptions, affineAugment, jitterAugment } from '../../src/index.js'

const images = (dims: number[], draw: (i: number) => number): Tensor<'float32'> =>
  tensor(
    'float32',
    dims,
    Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => draw(i)),
  )

function moved(x: Tensor<'float32'>, options: AffineOptions, seed = 1): Float32Array {
  const batch = { ids: new Uint32Array(x.dims[0]!), inputs: { x } }
  return affineAugment(options)(batch, rng(seed)).inputs.x!.data as Float32Array
}

/** A linear ramp: bilinear interpolation keeps it exactly, wherever the map stays inside. */
const side = 15
const centre = (side - 1) / 2
const ramp = (p: number, q: number): Tensor<'float32'> =>
  images([1, side, side], (i) => p * ((i % side) - centre) + q * (Math.floor(i / side) - centre))
const inner = (data: Float32Array, x: number, y: number): number => data[(centre + y) * side + centre + x]!

describe('affineAugment', () => {
  test('nothing to change: the images as they are', () => {
    const random = rng(2)
    const x = images([3, 2, 5, 4], () => random.normal())
    expect(moved(x, {})).toEqual(x.data)
  })

  test('a ramp becomes the ramp of the inverse map, within the angle, factors, slant and shift', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        // Both coordinates of where the pixels come from, read off the two ramps; the same draw for both.
        const options = { turn: 20, scale: 0.2, shear: 0.1, shift: 1 }
        const [u, v] = [moved(ramp(1, 0), options, seed), moved(ramp(0, 1), options, seed)]
        const column = (data: Float32Array): number => (inner(data, 2, 0) - inner(data, -2, 0)) / 4
        const row = (data: Float32Array): number => (inner(data, 0, 2) - inner(data, 0, -2)) / 4
        const [a, b, d, e] = [column(u), row(u), column(v), row(v)]
        // It is affine: every pixel near the centre lies where these four and the shift say.
        for (const [x, y] of [
          [1, 2],
          [-2, 1],
          [2, -2],
        ] as const) {
          expect(inner(u, x, y)).toBeCloseTo(inner(u, 0, 0) + a * x + b * y, 4)
          expect(inner(v, x, y)).toBeCloseTo(inner(v, 0, 0) + d * x + e * y, 4)
        }
        // The forward map is R(angle)·[wide slant; 0 high]: its QR decomposition tells the parts.
        const det = a * e - b * d
        const [A, B, D, E] = [e / det, -b / det, -d / det, a / det]
        const wide = Math.hypot(A, D)
        const slant = (A * B + D * E) / wide
        const high = (A * E - B * D) / wide
        expect(Math.abs((Math.atan2(D, A) * 180) / Math.PI)).toBeLessThanOrEqual(20.01)
        for (const factor of [wide, high]) expect(Math.abs(factor - 1)).toBeLessThanOrEqual(0.2001)
        expect(Math.abs(slant)).toBeLessThanOrEqual(0.1001)
        const [dx, dy] = [-(A * inner(u, 0, 0) + B * inner(v, 0, 0)), -(D * inner(u, 0, 0) + E * inner(v, 0, 0))]
        for (const shift of [dx, dy]) expect(Math.abs(shift)).toBeLessThanOrEqual(1.0001)
      }),
      { numRuns: 60 },
    )
  })

  test('what comes in from outside is 0', () => {
    const x = images([1, 4, 4], (i) => i + 1)
    const far = moved(x, { shift: 1e6 })
    expect([...far]).toEqual(new Array(16).fill(0))
  })

  test('planes of one image move together, images apart; flat rows as images', () => {
    const random = rng(5)
    const plane = Float32Array.from({ length: 36 }, () => random.normal())
    const x = images([2, 2, 6, 6], (i) => plane[i % 36]!)
    const out = moved(x, { turn: 30, shift: 2 })
    expect(out.slice(0, 36)).toEqual(out.slice(36, 72))
    expect(out.slice(0, 36)).not.toEqual(out.slice(72, 108))
    const flat = tensor('float32', [2, 72], x.data)
    expect(moved(flat, { turn: 30, shift: 2, height: 6, width: 6 })).toEqual(out)
  })

  test('the same generator gives the same images, another one others', () => {
    const x = images([2, 28, 28], (i) => i)
    expect(moved(x, { turn: 10 }, 3)).toEqual(moved(x, { turn: 10 }, 3))
    expect(moved(x, { turn: 10 }, 3)).not.toEqual(moved(x, { turn: 10 }, 4))
  })

  test.each([{ turn: -1 }, { scale: 1 }, { shear: Number.NaN }, { shift: Number.POSITIVE_INFINITY }])(
    '%j is refused',
    (options) => {
      expect(() => affineAugment(options)).toThrow(/affineAugment: "(turn|scale|shear|shift)"/)
    },
  )

  test('rows that are no images are refused by both augmentations', () => {
    const batch = { ids: new Uint32Array(1), inputs: { x: images([1, 10], () => 0) } }
    expect(() => affineAugment({ turn: 1 })(batch, rng(1))).toThrow(/affineAugment.*images/)
    expect(() => jitterAugment(1)(batch, rng(1))).toThrow(/jitterAugment.*images/)
  })
})
