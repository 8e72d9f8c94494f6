import { expect, test } from 'vitest'
import { bellOf } from '../../src/digits/bell.js'
import { flatten } from '../../src/digits/flatten.js'
import { glyphs } from '../../src/digits/glyphs.js'

test('a smooth stroke passes through each of its points', () => {
  for (const variants of glyphs)
    for (const glyph of variants)
      for (const stroke of glyph) {
        const chain = flatten(stroke.points.flat(), stroke)
        const visited = Array.from({ length: chain.length / 2 }, (_, i) => [chain[2 * i]!, chain[2 * i + 1]!])
        for (const [x, y] of stroke.points)
          expect(visited.some(([u, v]) => Math.hypot(u! - x, v! - y) < 1e-12)).toBe(true)
        if (stroke.closed)
          expect(Math.hypot(visited[0]![0]! - visited.at(-1)![0]!, visited[0]![1]! - visited.at(-1)![1]!)).toBeLessThan(
            1e-12,
          )
      }
})

test('through points on a line it is that line', () => {
  const chain = flatten([0, 0, 1, 2, 2, 4, 3, 6], { points: [], smooth: true })
  for (let i = 0; i < chain.length; i += 2) expect(chain[i + 1]).toBeCloseTo(2 * chain[i]!, 12)
})

test('every digit can be written in several ways, inside the unit square', () => {
  expect(glyphs.length).toBe(10)
  for (const variants of glyphs) {
    expect(variants.length).toBeGreaterThan(2)
    for (const value of variants.flat().flatMap((stroke) => stroke.points.flat())) {
      expect(value).toBeGreaterThanOrEqual(0)
      expect(value).toBeLessThanOrEqual(1)
    }
  }
})

test('the bell has mean 0 and deviation 1, over all values of a byte', () => {
  let [sum, squares] = [0, 0]
  // The bytes are independent: each one's mean and variance, four times.
  for (let byte = 0; byte < 256; byte++) {
    const word = byte + byte * 256 + byte * 65_536 + byte * 2 ** 24
    sum += bellOf(word)
    squares += bellOf(word) ** 2
  }
  expect(sum / 256).toBeCloseTo(0, 12)
  // Equal bytes add up: four times the variance of independent ones.
  expect(squares / 256).toBeCloseTo(4, 12)
})
