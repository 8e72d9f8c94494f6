import { ArgumentError, NumericError, ShapeError, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backends, topK } from '../../src/index.js'

const matrix = (rows: number, values: readonly number[]) =>
  tensor('float32', [rows, values.length / rows], Float32Array.from(values))

describe.each(backends().filter(({ available }) => available))('topK on $name', ({ name: backend }) => {
  test('what is selected is sorted, nothing outside is greater, and equal logits stand by class', () => {
    const logit = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ min: -50, max: 50, noNaN: true }))
    fc.assert(
      fc.property(fc.array(logit, { minLength: 1, maxLength: 80 }), fc.nat(), (row, draw) => {
        const k = 1 + (draw % row.length)
        const logits = matrix(1, row)
        const { values, indices } = topK({ logits, k, backend })
        const order = [...logits.data.keys()].sort((a, b) => logits.data[b]! - logits.data[a]! || a - b)
        expect([...indices.data]).toEqual(order.slice(0, k))
        expect([...values.data]).toEqual(order.slice(0, k).map((c) => logits.data[c]))
      }),
    )
  })

  test('C equal logits: ln C, and the tail is (C − k)/C', () => {
    for (const [C, k] of [
      [1, 1],
      [10, 3],
      [1000, 999],
      [70_000, 1024],
    ] as const) {
      const { logSumExp, logTail, indices } = topK({
        logits: matrix(1, Array(C).fill(2.5)),
        k,
        temperature: 5,
        backend,
      })
      expect(logSumExp.data[0]).toBeCloseTo(0.5 + Math.log(C), 5)
      if (k === C) expect(logTail.data[0]).toBe(Number.NEGATIVE_INFINITY)
      else expect(logTail.data[0]).toBeCloseTo(Math.log((C - k) / C), 5)
      expect(indices.data[k - 1]).toBe(k - 1)
    }
  })

  test('a tail that 1 − Σ p has lost: three classes at e^−200 of the first', () => {
    const logits = matrix(1, [-100, 300, -100, -100, 290])
    const { logTail, logSumExp } = topK({ logits, k: 2, temperature: 2, backend })
    expect(logSumExp.data[0]).toBeCloseTo(150 + Math.log1p(Math.exp(-5)), 4)
    const want = -200 + Math.log(3) - Math.log1p(Math.exp(-5))
    expect(Math.abs(logTail.data[0]! - want)).toBeLessThan(1e-6 * Math.abs(want))
  })

  test('probabilities of the selected and the tail add up to 1', () => {
    const rows = fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 8, maxLength: 64 })
    fc.assert(
      fc.property(rows, fc.double({ min: 0.5, max: 20, noNaN: true }), (row, temperature) => {
        const { values, logSumExp, logTail } = topK({ logits: matrix(1, row), k: 5, temperature, backend })
        const selected = values.data.reduce((sum, v) => sum + Math.exp(v / temperature - logSumExp.data[0]!), 0)
        expect(Math.abs(selected + Math.exp(logTail.data[0]!) - 1)).toBeLessThan(1e-5)
      }),
    )
  })

  test('classes without mass: selected last, and no tail where only they are left', () => {
    const dark = Number.NEGATIVE_INFINITY
    const { values, indices, logTail } = topK({ logits: matrix(1, [dark, 1, dark, 2]), k: 3, backend })
    expect([...values.data]).toEqual([2, 1, dark])
    expect([...indices.data]).toEqual([3, 1, 0])
    expect(logTail.data[0]).toBe(dark)
  })

  test('the first bad row is named; k, dims and temperature are checked', () => {
    const rows = Array(40).fill(1)
    rows[13] = Number.NaN
    rows[37] = Number.POSITIVE_INFINITY
    expect(() => topK({ logits: matrix(10, rows), k: 2, backend })).toThrow(NumericError)
    expect(() => topK({ logits: matrix(10, rows), k: 2, backend })).toThrow(/NaN in row 3/)
    expect(() => topK({ logits: matrix(1, Array(5).fill(Number.NEGATIVE_INFINITY)), k: 2, backend })).toThrow(/row 0/)
    const logits = matrix(2, [1, 2, 3, 4])
    for (const k of [0, 3, 1.5]) expect(() => topK({ logits, k, backend })).toThrow(ArgumentError)
    expect(() => topK({ logits, k: 1, temperature: 0, backend })).toThrow(ArgumentError)
    expect(() => topK({ logits: tensor('float32', [4], logits.data), k: 1, backend })).toThrow(ShapeError)
    expect(topK({ logits: tensor('float32', [0, 3], new Float32Array(0)), k: 2, backend }).values.dims).toEqual([0, 2])
  })
})
