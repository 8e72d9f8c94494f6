import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addDim, type Dim, divDim, equalDim, evaluateDim, mulDim, productDim, subDim } from '../src/index.js'

const symbols = ['N', 'H', '?1', 'past + 1', 'batch_size', 'a*b + c']
const sizes = new Map(symbols.map((symbol, i) => [symbol, [2, 3, 5, 7, 11, 13][i]!]))
const size: fc.Arbitrary<Dim> = fc
  .array(fc.oneof(fc.constantFrom(...symbols), fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 4 })
  .map((factors) => productDim(factors as Dim[]))
const worth = (dim: Dim | undefined): number | undefined => (dim === undefined ? undefined : evaluateDim(dim, sizes))

describe('the algebra of sizes', () => {
  test('agrees with numbers for whatever the symbols stand for', () => {
    fc.assert(
      fc.property(size, size, (a, b) => {
        expect(worth(mulDim(a, b))).toBe(worth(a)! * worth(b)!)
        const sum = addDim(a, b)
        if (sum !== undefined) expect(worth(sum)).toBe(worth(a)! + worth(b)!)
        const difference = subDim(a, b)
        if (difference !== undefined) expect(worth(difference)).toBe(worth(a)! - worth(b)!)
        const quotient = divDim(a, b)
        if (quotient !== undefined) expect(worth(quotient)).toBe(worth(a)! / worth(b)!)
      }),
    )
  })

  test('a product of too many symbols is the unknown size, which equals nothing', () => {
    let dim: Dim = 'N'
    for (let i = 0; i < 100; i++) dim = mulDim(dim, dim)
    expect(dim).toBe('?')
    expect([mulDim(dim, 2), divDim(dim, dim), addDim(dim, dim), subDim(dim, dim), equalDim(dim, dim)]).toEqual([
      '?',
      undefined,
      undefined,
      undefined,
      false,
    ])
  })

  test('one spelling for one size: products commute, associate and divide again', () => {
    fc.assert(
      fc.property(size, size, size, (a, b, c) => {
        expect(mulDim(a, b)).toBe(mulDim(b, a))
        expect(mulDim(a, mulDim(b, c))).toBe(mulDim(mulDim(a, b), c))
        expect(divDim(mulDim(a, b), b)).toBe(a)
      }),
    )
  })

  test('spells as documented', () => {
    expect(mulDim('N', 4)).toBe('4*N')
    expect(productDim(['W', 2, 'H'])).toBe('2*H*W')
    expect(addDim('N', '3*N')).toBe('4*N')
    expect(addDim('N', 3)).toBeUndefined()
    expect(divDim('6*N', 4)).toBeUndefined()
    expect(mulDim('past + 1', 2)).toBe('2*(past + 1)')
    expect(divDim('2*(past + 1)', 2)).toBe('past + 1')
    expect(mulDim('N', 0)).toBe(0)
    expect(equalDim('?', '?')).toBe(false)
  })
})
