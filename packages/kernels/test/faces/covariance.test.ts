import { readFileSync } from 'node:fs'
import { ArgumentError, NumericError, rng, type Tensor, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backends, correlationOf, covariance, covarianceOf, type Moments } from '../../src/index.js'

const golden: { [name: string]: number[] } = JSON.parse(
  readFileSync(new URL('../golden/covariance.json', import.meta.url), 'utf8'),
)

const matrix = (columns: number, values: ArrayLike<number>): Tensor<'float32'> =>
  tensor('float32', [values.length / columns, columns], Float32Array.from(values))
const vector = (values: ArrayLike<number>) => tensor('float32', [values.length], Float32Array.from(values))

function expectClose(got: Tensor<'float64'>, want: ArrayLike<number>, tolerance: number): void {
  expect(got.data.length).toBe(want.length)
  for (let i = 0; i < want.length; i++) expect(Math.abs(got.data[i]! - want[i]!)).toBeLessThanOrEqual(tolerance)
}

describe.each(backends().filter(({ available }) => available))('covariance on $name', ({ name: backend }) => {
  test('follows numpy: cov, biased, unbiased and weighted, and corrcoef', () => {
    const x = matrix(4, golden.x!)
    const moments = covariance({ x, backend })
    expectClose(covarianceOf(moments), golden.covariance!, 1e-11)
    expectClose(covarianceOf(moments, { unbiased: true }), golden.unbiased!, 1e-11)
    expectClose(correlationOf(moments), golden.correlation!, 1e-11)
    expectClose(covarianceOf(covariance({ x, rowWeights: vector(golden.weights!), backend })), golden.weighted!, 1e-11)
  })

  test('rows in any batches and any order give the moments of all at once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 2, max: 60 }), fc.nat(), (C, N, seed) => {
        const random = rng(seed)
        const rows = Array.from({ length: N }, () => Float32Array.from({ length: C }, () => 5 + random.normal()))
        const flat = (some: Float32Array[]) =>
          matrix(
            C,
            some.flatMap((row) => [...row]),
          )
        const whole = covariance({ x: flat(rows), backend })
        rows.reverse()
        let moments: Moments | undefined
        for (let at = 0; at < N; ) {
          const next = at + 1 + random.integer(N)
          moments = covariance({ x: flat(rows.slice(at, next)), into: moments, backend })
          at = next
        }
        expect(moments!.count).toBe(N)
        expectClose(moments!.mean, whole.mean.data, 1e-12)
        expectClose(covarianceOf(moments!), covarianceOf(whole).data, 1e-11)
      }),
    )
  })

  test('a constant that is added to all rows leaves the covariance as it is, however large', () => {
    const random = rng(4)
    // Multiples of 1/8 below 2, so that adding 2²⁰ loses nothing in float32.
    const x = Float32Array.from({ length: 900 }, () => random.integer(16) / 8)
    const near = covarianceOf(covariance({ x: matrix(3, x), backend }))
    const far = covarianceOf(
      covariance({
        x: matrix(
          3,
          x.map((value) => value + 2 ** 20),
        ),
        backend,
      }),
    )
    expectClose(far, near.data, 1e-9)
  })

  test('a weight of 3 is a row three times; a row of weight 0 is not even read', () => {
    const x = matrix(2, [1, 2, 4, 1, Number.NaN, 0, -3, 5])
    const weighted = covariance({ x, rowWeights: vector([1, 3, 0, 2]), backend })
    const repeated = covariance({ x: matrix(2, [1, 2, 4, 1, 4, 1, 4, 1, -3, 5, -3, 5]), backend })
    expect(weighted.count).toBe(6)
    expectClose(weighted.mean, repeated.mean.data, 1e-12)
    expectClose(covarianceOf(weighted), covarianceOf(repeated).data, 1e-12)
    const none = covariance({ x, rowWeights: vector([0, 0, 0, 0]), into: weighted, backend })
    expect(none).toBe(weighted)
    expect(none.count).toBe(6)
  })

  test('columns that depend on each other correlate with 1 and −1, one that does not vary with none', () => {
    const random = rng(8)
    const rows = Array.from({ length: 50 }, () => random.normal())
    const moments = covariance({
      x: matrix(
        4,
        rows.flatMap((t) => [t, 2 * t, -0.5 * t, 7]),
      ),
      backend,
    })
    expectClose(correlationOf(moments), [1, 1, -1, 0, 1, 1, -1, 0, -1, -1, 1, 0, 0, 0, 0, 1], 1e-12)
    expect(Math.abs(covarianceOf(moments).data[15]!)).toBeLessThan(1e-25)
  })

  test('a row that is not finite is named, too few rows are refused, moments of other columns too', () => {
    const bad = matrix(2, [1, 2, 3, Number.NEGATIVE_INFINITY])
    expect(() => covariance({ x: bad, backend })).toThrow(NumericError)
    expect(() => covariance({ x: bad, backend })).toThrow(/"x".*-Infinity in row 1/)
    const one = covariance({ x: matrix(2, [1, 2]), backend })
    expect(() => covarianceOf(one, { unbiased: true })).toThrow(ArgumentError)
    expectClose(covarianceOf(one), [0, 0, 0, 0], 0)
    const before = covariance({ x: tensor('float32', [0, 2], new Float32Array(0)), backend })
    for (const call of [covarianceOf, correlationOf]) expect(() => call(before)).toThrow(ArgumentError)
    expect(() => covariance({ x: matrix(3, [1, 2, 3]), into: one, backend })).toThrow(/into\.mean/)
    expect(() => covariance({ x: bad, rowWeights: vector([1, -1]), backend })).toThrow(/rowWeights/)
  })
})
