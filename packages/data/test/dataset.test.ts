import { type Tensor, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dataset } from '../src/index.js'

describe('rows', () => {
  test('uint8 is scaled as (value · factor − mean) / std, in float32', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 6, maxLength: 6 }),
        fc.double({ min: -2, max: 2, noNaN: true }),
        fc.double({ min: -1, max: 1, noNaN: true }),
        fc.double({ min: 0.1, max: 3, noNaN: true }),
        (pixels, factor, mean, std) => {
          const set = dataset({ inputs: { x: tensor('uint8', [3, 2], pixels) }, scale: { x: { factor, mean, std } } })
          const got = set.rows(Uint32Array.of(2, 0)).inputs.x!
          const wanted = [4, 5, 0, 1].map((i) => Math.fround((pixels[i]! * factor - mean) / std))
          expect(Array.from(got.data as Float32Array)).toEqual(wanted)
        },
      ),
    )
  })

  test('mean and std may be given for each element', () => {
    const x = tensor('float64', [2, 2], Float64Array.of(1, 2, 3, 4))
    const set = dataset({ inputs: { x }, scale: { x: { mean: [1, 2], std: [2, 4] } } })
    expect(set.rows(Uint32Array.of(1)).inputs.x).toEqual(tensor('float32', [1, 2], Float32Array.of(1, 0.5)))
  })

  test.each<[string, Tensor, unknown]>([
    ['int64', tensor('int64', [2, 1], BigInt64Array.of(5n, -(2n ** 62n))), BigInt64Array.of(-(2n ** 62n))],
    ['float32', tensor('float32', [2, 1], Float32Array.of(1, 2)), Float32Array.of(2)],
    ['bool', tensor('bool', [2, 1], Uint8Array.of(0, 1)), Uint8Array.of(1)],
    ['string', tensor('string', [2, 1], ['a', 'b']), ['b']],
  ])('%s keeps its type without a scale', (type, x, wanted) => {
    const got = dataset({ inputs: { x } }).rows(Uint32Array.of(1)).inputs.x!
    expect([got.type, got.dims, got.data]).toEqual([type, [1, 1], wanted])
  })

  test('come in the order asked for, also twice, and none at all', () => {
    const set = dataset({ inputs: { x: tensor('float32', [3], Float32Array.of(7, 8, 9)) }, labels: [0, 1, -1] })
    expect(set.rows(Uint32Array.of(2, 0, 2))).toEqual({
      ids: Uint32Array.of(2, 0, 2),
      inputs: expect.objectContaining({ x: tensor('float32', [3], Float32Array.of(9, 7, 9)) }),
      labels: Int32Array.of(-1, 0, -1),
    })
    expect(set.rows(new Uint32Array(0)).inputs.x!.dims).toEqual([0])
  })
})

test('classes are counted from the labels, or held against them', () => {
  const inputs = { x: tensor('float32', [2], new Float32Array(2)) }
  expect(dataset({ inputs, labels: [0, 4] }).classes).toBe(5)
  expect(dataset({ inputs, labels: tensor('int64', [2], BigInt64Array.of(1n, -1n)), classes: 7 }).classes).toBe(7)
  expect(dataset({ inputs, labels: [-1, -1] }).classes).toBeUndefined()
  expect(() => dataset({ inputs, labels: [0, 4], classes: 4 })).toThrow(
    /"labels\[1\]" must be a class in \[0, 4\), got 4/,
  )
})

const x = tensor('float32', [2, 2], new Float32Array(4))
test.each([
  ['no inputs', { inputs: {} }, /at least one tensor/],
  ['rows that differ', { inputs: { x, y: tensor('float32', [3], new Float32Array(3)) } }, /"inputs.y"/],
  ['a scalar', { inputs: { x: tensor('float32', [], new Float32Array(1)) } }, /\[N, ...\]/],
  ['data of another length', { inputs: { x: tensor('float32', [2, 2], new Float32Array(3)) } }, /4 elements/],
  ['labels of another length', { inputs: { x }, labels: [1] }, /"labels" must be \[2\]/],
  ['half a class', { inputs: { x }, labels: [1, 0.5] }, /"labels\[1\]"/],
  ['a class below −1', { inputs: { x }, labels: [-2, 0] }, /"labels\[0\]"/],
  ['a std of 0', { inputs: { x }, scale: { x: { std: 0 } } }, /"scale.x.std"/],
  ['three means for two', { inputs: { x }, scale: { x: { mean: [1, 2, 3] } } }, /"scale.x.mean"/],
  ['scaled text', { inputs: { x: tensor('string', [1], ['a']) }, scale: 2 }, /left out for this type/],
])('%s: refused', (_, options, message) => {
  expect(() => dataset(options)).toThrow(message)
})

test('a row that is not there is refused', () => {
  expect(() => dataset({ inputs: { x } }).rows(Uint32Array.of(2))).toThrow(/rows in \[0, 2\)/)
})
