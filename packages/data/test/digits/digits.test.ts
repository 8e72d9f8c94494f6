import { createHash } from 'node:crypto'
import { rng } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { digits, drawDigits } from '../../src/index.js'

describe('the drawings', () => {
  test('are the same bytes on every machine', () => {
    const { images, labels } = drawDigits({ count: 300, rng: rng(1) })
    const hash = createHash('sha256').update(images.data).update(Uint8Array.from(labels.data)).digest('hex')
    expect(hash).toBe('d75a3d95753d9b4bd757d8e1e4c31bdf811c58eb4a6ec5ffb883e3527dd3375d')
  })

  test('of one image do not depend on how many are drawn', () => {
    const few = drawDigits({ count: 20, rng: rng(5) })
    const many = drawDigits({ count: 50, rng: rng(5) })
    expect(many.images.data.subarray(0, few.images.data.length)).toEqual(few.images.data)
    expect(many.labels.data.subarray(0, 20)).toEqual(few.labels.data)
  })

  test('differ from seed to seed and image to image', () => {
    const { images } = drawDigits({ count: 500, rng: rng(2) })
    const seen = new Set(Array.from({ length: 500 }, (_, i) => images.data.subarray(i * 784, (i + 1) * 784).join()))
    expect(seen.size).toBe(500)
    expect(drawDigits({ count: 1, rng: rng(3) }).images.data).not.toEqual(images.data.subarray(0, 784))
  })

  test('show every digit about equally often', () => {
    const { labels } = drawDigits({ count: 5000, rng: rng(8), hardness: 0 })
    const counts = new Array<number>(10).fill(0)
    for (const label of labels.data) counts[label]!++
    // χ² with 9 degrees of freedom: 27.9 is passed by one seed in a thousand.
    const chi = counts.reduce((sum, count) => sum + (count - 500) ** 2 / 500, 0)
    expect(chi).toBeLessThan(27.9)
  })
})

/** Errors of the nearest of the ten mean images, learned from one half and counted on the other. */
function meanImageErrors(hardness: number): number {
  const { images, labels } = drawDigits({ count: 2000, rng: rng(4), hardness })
  const at = (i: number) => images.data.subarray(i * 784, (i + 1) * 784)
  const means = Array.from({ length: 10 }, () => new Float64Array(785))
  for (let i = 0; i < 1000; i++) {
    const mean = means[labels.data[i]!]!
    for (let p = 0; p < 784; p++) mean[p]! += at(i)[p]!
    mean[784]!++
  }
  let errors = 0
  for (let i = 1000; i < 2000; i++) {
    const image = at(i)
    const distances = means.map((mean) => {
      let sum = 0
      for (let p = 0; p < 784; p++) sum += (image[p]! - mean[p]! / mean[784]!) ** 2
      return sum
    })
    if (distances.indexOf(Math.min(...distances)) !== labels.data[i]) errors++
  }
  return errors / 1000
}

test('they carry their digit, and more hardness makes them harder to tell', () => {
  const [easy, usual, hard] = [0.2, 1, 2].map(meanImageErrors) as [number, number, number]
  expect(easy).toBeLessThan(0.06)
  expect(usual).toBeGreaterThan(easy + 0.05)
  expect(usual).toBeLessThan(0.5)
  expect(hard).toBeGreaterThan(usual + 0.05)
  expect(hard).toBeLessThan(0.8)
})

test('train and test are different drawings, scaled to [0, 1]', () => {
  const { train, test } = digits({ seed: 3, train: 30, test: 20, shape: [1, 28, 28] })
  expect([train.length, test.length, train.classes, test.classes]).toEqual([30, 20, 10, 10])
  const first = train.rows(Uint32Array.of(0)).inputs.input!
  expect(first.dims).toEqual([1, 1, 28, 28])
  expect(Math.max(...(first.data as Float32Array))).toBeLessThanOrEqual(1)
  expect(test.rows(Uint32Array.of(0)).inputs.input!.data).not.toEqual(first.data)
})

test.each([
  [{ count: 0 }, /"count"/],
  [{ count: 1.5 }, /"count"/],
  [{ count: 1, hardness: 3 }, /"hardness"/],
  [{ count: 1, hardness: Number.NaN }, /"hardness"/],
])('%o is refused', (options, message) => {
  expect(() => drawDigits({ ...options, rng: rng(1) })).toThrow(message)
})
