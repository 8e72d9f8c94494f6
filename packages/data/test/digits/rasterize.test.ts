import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rasterize, SIDE } from '../../src/digits/rasterize.js'

const draw = (chains: number[][], radius: number): Float32Array => {
  const ink = new Float32Array(SIDE * SIDE)
  rasterize(chains, radius, ink, new Float32Array(SIDE * SIDE))
  return ink
}

test('ink is radius + ½ − distance, between 0 and 1, wherever the points lie', () => {
  const coordinate = fc.double({ min: -10, max: 38, noNaN: true })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(coordinate, coordinate), { minLength: 2, maxLength: 5 }),
      fc.double({ min: 0.35, max: 3, noNaN: true }),
      (points, radius) => {
        const ink = draw([points.flat()], radius)
        for (let p = 0; p < ink.length; p += 3) {
          const distance = nearest(p % SIDE, Math.floor(p / SIDE), points)
          expect(ink[p]).toBeCloseTo(Math.min(1, Math.max(0, radius + 0.5 - distance)), 4)
        }
      },
    ),
    { numRuns: 60 },
  )
})

/** The distance from a chain by ternary search along each segment: convex in the position, and no formula shared. */
function nearest(x: number, y: number, points: readonly (readonly [number, number])[]): number {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i + 1 < points.length; i++) {
    const [[ax, ay], [bx, by]] = [points[i]!, points[i + 1]!]
    const distance = (t: number): number => Math.hypot(ax + t * (bx - ax) - x, ay + t * (by - ay) - y)
    let [low, high] = [0, 1]
    for (let step = 0; step < 80; step++) {
      const [a, b] = [low + (high - low) / 3, high - (high - low) / 3]
      if (distance(a) < distance(b)) high = b
      else low = a
    }
    least = Math.min(least, distance(low), distance(0), distance(1))
  }
  return least
}
