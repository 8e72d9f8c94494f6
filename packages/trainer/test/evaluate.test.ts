import { batches, dataset } from '@imago/data'
import {
  ArgumentError,
  NotFoundError,
  NumericError,
  type Predict,
  rng,
  ShapeError,
  tensor,
  tensorMap,
} from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { agreement, evaluate } from '../src/index.js'

/** The inputs are the logits themselves. */
const identity: Predict = async ({ x }) => ({ logits: x! })

function rowsOf(logits: readonly (readonly number[])[], labels?: readonly number[]) {
  const data = Float32Array.from(logits.flat())
  return batches(
    dataset({
      inputs: tensorMap([['x', tensor('float32', [logits.length, logits[0]!.length], data)]]),
      ...(labels && { labels }),
    }),
    { size: 3 },
  )
}

describe('evaluate', () => {
  it('counts errors, confusion, nats and calibration as worked out by hand', async () => {
    const [p, q] = [0.8, 0.6]
    const logits = [
      [Math.log(p), Math.log(1 - p)],
      [Math.log(q), Math.log(1 - q)],
      [Math.log(1 - p), Math.log(p)],
      [Math.log(p), Math.log(1 - p)],
      [5, 1],
    ]
    const data = rowsOf(logits, [0, 1, 1, 1, -1])
    const result = await evaluate({ predict: identity, data, confusion: true })
    expect(result).toMatchObject({
      errors: 2,
      rows: 4,
      errorRate: 0.5,
      confusion: [
        [1, 0],
        [2, 1],
      ],
    })
    expect(result.crossEntropy).toBeCloseTo(-(Math.log(p) + Math.log(1 - q) + Math.log(p) + Math.log(1 - p)) / 4, 6)
    // Bins 12 (0.8: three rows, two right) and 9 (0.6: one row, wrong).
    expect(result.calibrationError).toBeCloseTo((Math.abs(2 - 3 * p) + q) / 4, 6)
  })

  it('does not depend on batches, on a shift of a row’s logits or on the order of rows', async () => {
    const row = fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 4, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(row, fc.nat(3)), { minLength: 1, maxLength: 9 }), async (rows) => {
        const shifted = rows.map(([logits, label], i) => [logits.map((value) => value + i), label] as const).reverse()
        const [a, b] = await Promise.all(
          [rows, shifted].map((set) =>
            evaluate({
              predict: identity,
              data: rowsOf(
                set.map(([x]) => x),
                set.map(([, y]) => y),
              ),
            }),
          ),
        )
        expect(a!.errors).toBe(b!.errors)
        expect(a!.crossEntropy).toBeCloseTo(b!.crossEntropy, 5)
        expect(a!.calibrationError).toBeCloseTo(b!.calibrationError, 5)
      }),
    )
  })

  it('refuses what cannot be counted', async () => {
    const cases = [
      [rowsOf([[1, 2]]), identity, NotFoundError],
      [rowsOf([[1, 2]], [-1]), identity, NotFoundError],
      [rowsOf([[1, 2]], [2]), identity, ArgumentError],
      [rowsOf([[Number.NaN, 2]], [0]), identity, NumericError],
      [rowsOf([[Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]], [0]), identity, NumericError],
      [
        rowsOf([[1, 2]], [0]),
        async () => ({ probabilities: tensor('float32', [1, 2], new Float32Array(2)) }),
        NotFoundError,
      ],
      [rowsOf([[1, 2]], [0]), async () => ({ logits: tensor('float32', [2], new Float32Array(2)) }), ShapeError],
    ] as const
    for (const [data, predict, error] of cases) await expect(evaluate({ predict, data })).rejects.toThrow(error)
  })
})

describe('agreement', () => {
  it('is the share of rows with the same best class; with itself 1', async () => {
    const random = rng(1)
    const rows = Array.from({ length: 40 }, () => Array.from({ length: 5 }, () => random.normal()))
    const data = rowsOf(rows)
    const negated: Predict = async ({ x }) => ({ logits: { ...x!, data: (x!.data as Float32Array).map((v) => -v) } })
    expect(await agreement(identity, identity, data)).toEqual({ same: 40, rows: 40, agreement: 1 })
    expect(await agreement(identity, negated, data)).toEqual({ same: 0, rows: 40, agreement: 0 })
    const sometimes: Predict = async ({ x }) => ({
      logits: { ...x!, data: (x!.data as Float32Array).map((v, i) => (i < 10 ? v : -v)) },
    })
    // The first two rows of each batch of three, and the only row of the last.
    expect((await agreement(identity, sometimes, data)).same).toBe(27)
  })
})
