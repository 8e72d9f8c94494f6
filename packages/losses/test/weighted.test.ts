import { tensor, tensorMap, zeros } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hardLabel, type Loss, logitRegression, softTarget, weighted } from '../src/index.js'
import { batches, type Drawn, numbers, outputs, targets } from './batches.js'

const weight = fc.double({ min: 0, max: 5, noNaN: true })
const at = { step: 30, epoch: 3, stepsPerEpoch: 10, epochs: 10 }
const batch: Drawn = { student: [[1, 2, 3]], teacher: [[3, 1, 2]], labels: [1], weights: [1] }

describe('weighted', () => {
  test('is the sum of its terms: value and gradient', () => {
    fc.assert(
      fc.property(batches, weight, weight, weight, (drawn, a, b, c) => {
        const losses = [softTarget({ temperature: 4 }), hardLabel(), logitRegression()] as const
        const sum = weighted({ soft: [losses[0], a], hard: [losses[1], b], logits: [losses[2], c] })
        const [z, y] = [outputs(drawn.student), targets(drawn)]
        const got = sum.evaluate(z, y)
        const each = losses.map((loss) => loss.evaluate(z, y))
        const factors = [a, b, c]
        const value = each.reduce((total, result, i) => total + factors[i]! * result.value, 0)
        expect(Math.abs(got.value - value)).toBeLessThanOrEqual(1e-12 * Math.max(1, value))
        for (const [i, x] of numbers(got.cotangents.logits).entries()) {
          const want = each.reduce((t, { cotangents }, k) => t + factors[k]! * numbers(cotangents.logits)[i]!, 0)
          expect(Math.abs(x - want)).toBeLessThanOrEqual(2e-5)
        }
        expect(got.parts.soft).toBe(each[0]!.value)
        expect(got.parts.hard).toBe(each[1]!.value)
        expect(got.parts.logits).toBe(each[2]!.value)
      }),
    )
  })

  test('soft 1 − a and hard a are softTarget with hardWeight a', () => {
    fc.assert(
      fc.property(batches, fc.double({ min: 0.05, max: 0.95, noNaN: true }), (drawn, a) => {
        // Both terms read the same labels, so rows that are left out must be so in both.
        const [z, y] = [outputs(drawn.student), targets(drawn)]
        const one = softTarget({ temperature: 4, hardWeight: a }).evaluate(z, y)
        const two = weighted({ s: [softTarget({ temperature: 4 }), 1 - a], h: [hardLabel(), a] }).evaluate(z, y)
        expect(Math.abs(one.value - two.value)).toBeLessThanOrEqual(1e-5 * Math.max(1, one.value))
        const want = numbers(one.cotangents.logits)
        for (const [i, x] of numbers(two.cotangents.logits).entries())
          expect(Math.abs(x - want[i]!)).toBeLessThanOrEqual(1e-5)
      }),
    )
  })

  test('a scheduled weight is asked where training stands', () => {
    const loss = weighted({ hard: [hardLabel(), ({ epoch, epochs }) => 1 - epoch / epochs] })
    const [z, y] = [outputs(batch.student), targets(batch)]
    const plain = hardLabel().evaluate(z, y)
    expect(loss.evaluate(z, y, undefined, at).value).toBeCloseTo(0.7 * plain.value, 12)
    expect(() => loss.evaluate(z, y)).toThrow(expect.objectContaining({ code: 'ERR_STATE' }))
    const broken = weighted({ hard: [hardLabel(), () => Number.NaN] })
    expect(() => broken.evaluate(z, y, undefined, at)).toThrow(/hard weight/)
  })

  test('a schedule reaches losses within losses, whose parts keep their names', () => {
    const inner = weighted({ soft: [softTarget({ temperature: 2 }), 1], hard: [hardLabel(), ({ epoch }) => epoch] })
    const outer = weighted({ both: [inner, 0.5], logits: [logitRegression(), 0] })
    const [z, y] = [outputs(batch.student), targets(batch)]
    const result = outer.evaluate(z, y, undefined, at)
    const soft = softTarget({ temperature: 2 }).evaluate(z, y).value
    const hard = hardLabel().evaluate(z, y).value
    expect(result.value).toBeCloseTo(0.5 * (soft + 3 * hard), 6)
    expect(Object.keys(result.parts)).toEqual([
      'both',
      'both.soft',
      'both.soft.soft',
      'both.soft.hard',
      'both.hard',
      'logits',
    ])
    expect(outer.needs).toEqual({ student: ['logits'], targets: ['logits', 'labels'] })
  })

  test('an infinite term of weight 0 is reported and not added', () => {
    const infinite = { ...batch, student: [[Number.NEGATIVE_INFINITY, 0, 0]], labels: [0] }
    const sum = weighted({ hard: [hardLabel(), 0], soft: [softTarget({ temperature: 2 }), 0] })
    const result = sum.evaluate(outputs(infinite.student), targets(infinite))
    expect(result.parts.hard).toBe(Number.POSITIVE_INFINITY)
    expect(result.value).toBe(0)
    expect(numbers(result.cotangents.logits)).toEqual([0, 0, 0])
  })

  test('outputs are kept apart, and the parameters of a loss are its own', () => {
    const scale: Loss = {
      needs: { student: ['hidden'], targets: [] },
      parameters: { s: tensor('float32', [1], Float32Array.of(2)) },
      // ½·(s·h)²
      evaluate: ({ hidden }, _targets, parameters) => {
        const [s, h] = [numbers(parameters!.s)[0]!, numbers(hidden)[0]!]
        return {
          value: (s * h) ** 2 / 2,
          parts: {},
          cotangents: { hidden: tensor('float32', [1], Float32Array.of(s * s * h)) },
          gradients: { s: tensor('float32', [1], Float32Array.of(s * h * h)) },
        }
      },
    }
    const sum = weighted({ hint: [scale, 3], hard: [hardLabel(), 1] })
    expect(Object.keys(sum.parameters!)).toEqual(['hint/s'])
    const student = tensorMap([
      ...Object.entries(outputs(batch.student)),
      ['hidden', tensor('float32', [1], Float32Array.of(5))],
    ])
    const given = { 'hint/s': tensor('float32', [1], Float32Array.of(0.5)) }
    const result = sum.evaluate(student, targets(batch), given)
    expect(result.parts.hint).toBe(3.125)
    expect(numbers(result.cotangents.hidden)).toEqual([3.75])
    expect(numbers(result.gradients!['hint/s'])).toEqual([37.5])
    expect(Object.keys(result.cotangents).sort()).toEqual(['hidden', 'logits'])
    expect(sum.evaluate(student, targets(batch)).parts.hint).toBe(50)
  })

  test('an output that is called as a parameter is keeps its own gradient', () => {
    const one = (value: number) => tensor('float32', [1], Float32Array.of(value))
    const loss: Loss = {
      needs: { student: ['a/s'], targets: [] },
      parameters: { s: one(1) },
      evaluate: () => ({ value: 0, parts: {}, cotangents: { 'a/s': one(2) }, gradients: { s: one(3) } }),
    }
    const { cotangents, gradients } = weighted({ a: [loss, 1] }).evaluate({}, {})
    expect([numbers(cotangents['a/s']), numbers(gradients!['a/s'])]).toEqual([[2], [3]])
  })

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY])('weight %d is refused', (bad) => {
    expect(() => weighted({ hard: [hardLabel(), bad] })).toThrow(/hard weight/)
  })

  test('no terms, and cotangents that are not float32, are refused', () => {
    expect(() => weighted({})).toThrow(/at least one/)
    const wide: Loss = {
      needs: { student: [], targets: [] },
      evaluate: () => ({ value: 0, parts: {}, cotangents: { logits: zeros('float64', [1]) } }),
    }
    expect(() => weighted({ wide: [wide, 1] }).evaluate({}, {})).toThrow(/float32/)
  })
})
