import { rng, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Batch, jitterAugment } from '../../src/index.js'

const batchOf = (dims: readonly number[], data: Float32Array): Batch => ({
  ids: new Uint32Array(dims[0]!),
  inputs: tensorMap([['input', tensor('float32', dims, data)]]),
})

/** The plain definition: out[y][x] = image[y − dy][x − dx], 0 from outside. */
function moved(image: Float32Array, height: number, width: number, dx: number, dy: number): Float32Array {
  return Float32Array.from({ length: height * width }, (_, at) => {
    const y = Math.floor(at / width) - dy
    const x = (at % width) - dx
    return y >= 0 && y < height && x >= 0 && x < width ? image[y * width + x]! : 0
  })
}

test('every row is its image moved by at most the shift, and all moves occur', () => {
  const [height, width, shift] = [6, 5, 2]
  const image = Float32Array.from({ length: height * width }, (_, i) => i + 1)
  const rows = 400
  const data = new Float32Array(rows * image.length)
  for (let row = 0; row < rows; row++) data.set(image, row * image.length)
  const batch = batchOf([rows, image.length], data)
  const out = jitterAugment(shift, { height, width })(batch, rng(4)).inputs.input!
  expect(out.dims).toEqual([rows, image.length])
  const moves = new Map<string, string>()
  for (let dy = -shift; dy <= shift; dy++)
    for (let dx = -shift; dx <= shift; dx++) moves.set(moved(image, height, width, dx, dy).join(), `${dx},${dy}`)
  const seen = new Set<string>()
  for (let row = 0; row < rows; row++) {
    const got = (out.data as Float32Array).subarray(row * image.length, (row + 1) * image.length).join()
    expect(moves.has(got), `row ${row}`).toBe(true)
    seen.add(moves.get(got)!)
  }
  // 25 moves, 400 draws: the chance that any one is missing is below 25·(24/25)⁴⁰⁰ ≈ 2·10⁻⁶, and the seed is fixed.
  expect(seen.size).toBe(25)
})

test('the same generator gives the same bits, whatever shape the row has; the batch stays as it was', () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const data = Float32Array.from({ length: 3 * 784 }, (_, i) => i % 97)
      const flat = jitterAugment(2)(batchOf([3, 784], data), rng(seed)).inputs.input!
      const square = jitterAugment(2)(batchOf([3, 28, 28], data), rng(seed)).inputs.input!
      const planes = jitterAugment(2)(batchOf([3, 1, 28, 28], data), rng(seed)).inputs.input!
      expect(square.data).toEqual(flat.data)
      expect(planes.data).toEqual(flat.data)
      expect([flat.dims, square.dims, planes.dims]).toEqual([
        [3, 784],
        [3, 28, 28],
        [3, 1, 28, 28],
      ])
      expect(data.every((value, i) => value === i % 97)).toBe(true)
    }),
    { numRuns: 10 },
  )
})

describe('refused', () => {
  test.each([-1, 1.5, Number.NaN])('a shift of %s', (shift) => {
    expect(() => jitterAugment(shift)).toThrow(/"shift"/)
  })
  test('flat rows whose image is not known', () => {
    expect(() => jitterAugment(1)(batchOf([1, 12], new Float32Array(12)), rng(1))).toThrow(/height and width given/)
  })
  test('an input that is not there', () => {
    const batch = batchOf([1, 4], new Float32Array(4))
    expect(() => jitterAugment(1, { input: 'pixels', height: 2, width: 2 })(batch, rng(1))).toThrow(/"pixels"/)
  })
})
