import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { constant, cosine, linear, type Progress, type Schedule, step, warmUp } from '../../src/index.js'

const runs = fc.record({ epochs: fc.integer({ min: 2, max: 50 }), stepsPerEpoch: fc.integer({ min: 1, max: 40 }) })
const value = fc.double({ min: 1e-6, max: 10, noNaN: true })

function at(run: { epochs: number; stepsPerEpoch: number }, step: number): Progress {
  return { ...run, step, epoch: Math.floor(step / run.stepsPerEpoch) }
}

function all(schedule: Schedule, run: { epochs: number; stepsPerEpoch: number }): number[] {
  return Array.from({ length: run.epochs * run.stepsPerEpoch + 1 }, (_, i) => schedule(at(run, i)))
}

describe('closed forms', () => {
  test('constant', () => {
    fc.assert(fc.property(value, runs, (c, run) => all(constant(c), run).every((x) => x === c)))
  })

  test('step: initial·factor^⌊epoch/every⌋', () => {
    const schedule = step({ initial: 8, factor: 0.5, every: 2 })
    const run = { epochs: 7, stepsPerEpoch: 3 }
    expect(all(schedule, run).filter((_, i) => i % 3 === 0)).toEqual([8, 8, 4, 4, 2, 2, 1, 1])
    expect(step({ initial: 1, factor: 0.998 })(at(run, 15))).toBeCloseTo(0.998 ** 5, 15)
  })

  test('linear: both ends exactly, equal steps between', () => {
    fc.assert(
      fc.property(value, value, runs, (from, to, run) => {
        const line = all(linear({ from, to }), run)
        expect(line[0]).toBe(from)
        expect(line.at(-1)).toBe(to)
        const stride = (to - from) / (line.length - 1)
        for (let i = 1; i < line.length; i++) expect(line[i]! - line[i - 1]!).toBeCloseTo(stride, 10)
        expect(linear({ from, to, epochs: 1 })(at(run, run.stepsPerEpoch))).toBe(to)
      }),
    )
  })

  test('cosine: peak, the middle halfway, floor; falls all the way', () => {
    fc.assert(
      fc.property(value, runs, (peak, run) => {
        const floor = peak / 10
        const curve = all(cosine({ peak, floor }), { ...run, epochs: run.epochs * 2 })
        expect(curve[0]).toBeCloseTo(peak, 12)
        expect(curve[(curve.length - 1) / 2]).toBeCloseTo((peak + floor) / 2, 12)
        expect(curve.at(-1)).toBe(floor)
        for (let i = 1; i < curve.length; i++) expect(curve[i]).toBeLessThan(curve[i - 1]!)
      }),
    )
  })

  test('warm-up: k-th step has k/W of the value, then the schedule itself', () => {
    fc.assert(
      fc.property(value, runs, (peak, run) => {
        const w = run.stepsPerEpoch
        const plain = all(cosine({ peak }), run)
        const warm = all(warmUp(cosine({ peak }), { epochs: 1 }), run)
        for (const [i, x] of warm.entries()) expect(x).toBeCloseTo(plain[i]! * Math.min(1, (i + 1) / w), 12)
        const inside = all(cosine({ peak, warmup: 1 }), run)
        for (let i = 0; i < w; i++) expect(inside[i]).toBeCloseTo((peak * (i + 1)) / w, 12)
        expect(inside[w]).toBeCloseTo(peak, 12)
        expect(inside.at(-1)).toBe(0)
      }),
    )
    expect(warmUp(3, { epochs: 0 })(at({ epochs: 1, stepsPerEpoch: 1 }, 0))).toBe(3)
  })
})

test.each([
  ['constant', () => constant(Number.NaN)],
  ['linear', () => linear({ from: 0, to: Number.POSITIVE_INFINITY })],
  ['linear epochs', () => linear({ from: 0, to: 1, epochs: 0 })],
  ['step', () => step({ initial: 1, factor: -1 })],
  ['cosine', () => cosine({ peak: 1, warmup: -1 })],
  ['warmUp', () => warmUp(1, { epochs: -1 })],
])('%s refuses what is no schedule', (_, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }))
})
