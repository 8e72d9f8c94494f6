import { zeros } from '@imago/tensor'
import { expect, it } from 'vitest'
import { heldUnits } from '../../src/run/training.js'

it('max-norm holds trained weights, and of columns those of matrices', () => {
  const axes = {
    first: 'rows',
    frozen: 'rows',
    vector: 'columns',
    up: 'columns',
    matrix: 'columns',
    image: 'rows',
  } as const
  const parameters = {
    first: zeros('float32', [4, 3]),
    vector: zeros('float32', [3]),
    up: zeros('float32', [2, 3, 5, 5]),
    matrix: zeros('float32', [3, 4]),
    image: zeros('float32', [2, 3, 5, 5]),
  }
  expect(heldUnits(axes, parameters)).toEqual({ first: 'rows', matrix: 'columns', image: 'rows' })
})
