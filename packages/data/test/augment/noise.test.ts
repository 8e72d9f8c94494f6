import { rng, tensor, tensorMap } from '@imago/tensor'
import { expect, test } from 'vitest'
import { noise } from '../../src/index.js'

const count = 40_001
const batch = {
  ids: new Uint32Array(1),
  inputs: tensorMap([
    ['x', tensor('float32', [1, count], new Float32Array(count).fill(3))],
    ['n', tensor('int64', [1, 1], BigInt64Array.of(5n))],
  ]),
}

test('adds normal noise of the deviation asked for', () => {
  const out = noise(0.5)(batch, rng(6)).inputs.x!.data as Float32Array
  const z = Array.from(out, (value) => (value - 3) / 0.5)
  const mean = (power: number): number => z.reduce((sum, value) => sum + value ** power, 0) / count
  // The first four moments of a normal: 0, 1, 0, 3; five standard errors of each at n = 40,001.
  expect(Math.abs(mean(1))).toBeLessThan(5 * Math.sqrt(1 / count))
  expect(Math.abs(mean(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / count))
  expect(Math.abs(mean(3))).toBeLessThan(5 * Math.sqrt(15 / count))
  expect(Math.abs(mean(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / count))
  const neighbours = z.reduce((sum, value, i) => sum + value * (z[i + 1] ?? 0), 0) / count
  expect(Math.abs(neighbours)).toBeLessThan(5 * Math.sqrt(1 / count))
})

test('leaves other inputs and the batch alone, and repeats itself', () => {
  const once = noise(1)(batch, rng(7))
  expect(noise(1)(batch, rng(7))).toEqual(once)
  expect(once.inputs.n).toBe(batch.inputs.n)
  expect((batch.inputs.x!.data as Float32Array).every((value) => value === 3)).toBe(true)
  expect(noise(0)(batch, rng(1)).inputs.x!.data).toEqual(batch.inputs.x!.data)
})

test('refuses a deviation below 0 and an input that is not float32', () => {
  expect(() => noise(-1)).toThrow(/"std"/)
  expect(() => noise(1, { input: 'n' })(batch, rng(1))).toThrow(/float32 input/)
})
