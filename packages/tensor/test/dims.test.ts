import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dims, ShapeError, type Tensor, tensor, zeros } from '../src/index.js'

const shapes = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 5 })
const letters = ['A', 'B', 'C', 'D', 'E']

function thrown(call: () => unknown): ShapeError {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(ShapeError)
    return error as ShapeError
  }
  throw new Error('nothing was thrown')
}

describe('patterns', () => {
  test('a name a dim binds every size', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const names = letters.slice(0, shape.length)
        const sizes = dims('f', { x: [zeros('float32', shape), names.join(' ')] })
        expect(Object.entries(sizes)).toEqual(names.map((name, i) => [name, shape[i]]))
      }),
    )
  })

  test('the sizes themselves fit, other sizes do not', () => {
    fc.assert(
      fc.property(shapes, fc.nat(), (shape, at) => {
        const x = zeros('float32', shape)
        expect(dims('f', { x: [x, shape.join(' ')] })).toEqual({})
        if (shape.length === 0) return
        const other = shape.with(at % shape.length, shape[at % shape.length]! + 1)
        thrown(() => dims('f', { x: [x, other.join(' ')] }))
      }),
    )
  })

  test('_ takes any size, ... any leading dims, and the rank must fit', () => {
    fc.assert(
      fc.property(shapes, shapes, (lead, tail) => {
        const x = zeros('float32', [...lead, ...tail])
        dims('f', { x: [x, x.dims.map(() => '_').join(' ')] })
        const names = letters.slice(0, tail.length)
        const sizes = dims('f', { x: [x, ['...', ...names].join(' ')] })
        expect(names.map((name) => sizes[name])).toEqual(tail)
        thrown(() => dims('f', { x: [x, [...x.dims, '_'].join(' ')] }))
        thrown(() => dims('f', { x: [x, ['...', ...x.dims, '_'].join(' ')] }))
      }),
    )
  })

  test('the same name is the same size, in one tensor and over the call', () => {
    expect(dims('f', { a: [zeros('float32', [2, 3]), 'N C'], b: [zeros('float32', [3, 2]), 'C N'] })).toEqual({
      N: 2,
      C: 3,
    })
    thrown(() => dims('f', { a: [zeros('float32', [2, 3]), 'N N'] }))
    const error = thrown(() =>
      dims('f', { a: [zeros('float32', [2, 3]), 'N C'], b: [zeros('float32', [2, 4]), 'N C'] }),
    )
    expect(error.message).toBe('f: "b" must be [N=2, C=3], got [2, 4]')
    expect(error).toMatchObject({ code: 'ERR_SHAPE', argument: 'b', expected: '[N=2, C=3]', got: '[2, 4]' })
  })

  test('scalars, arguments that were left out, names that poison maps', () => {
    expect(dims('f', { x: [zeros('float32', []), ''] })).toEqual({})
    expect(dims('f', { x: [undefined, 'N C'] })).toEqual({})
    const { __proto__: size } = dims('f', { x: [zeros('float32', [7]), '__proto__'] }) as { __proto__: unknown }
    expect(size).toBe(7)
    expect(dims('f', { x: [zeros('float32', [7]), 'constructor'] }).constructor).toBe(7)
  })
})

describe('what is not a tensor of that kind', () => {
  test('types', () => {
    const x = zeros('float64', [2])
    dims('f', { x: [x, 'N', 'float64'] })
    dims('f', { x: [x, 'N', ['float32', 'float64']] })
    expect(thrown(() => dims('f', { x: [x, 'N', 'float32'] })).message).toBe(
      'f: "x" must be of type float32, got float64',
    )
    expect(thrown(() => dims('f', { x: [x, 'N', ['int32', 'int64']] })).message).toContain('int32 or int64')
  })

  test.each([null, 3, 'tensor', [1, 2], {}, { dims: [1] }, { dims: 'x', data: [] }])('%j', (value) => {
    expect(thrown(() => dims('f', { x: [value as unknown as Tensor, 'N'] })).message).toContain(
      'a tensor { type, dims, data }',
    )
  })

  test.each([[-1], [1.5], [Number.NaN], ['2'], [1n], [2 ** 54], [null]])('dims %s', (...shape) => {
    const value = { type: 'float32', dims: shape, data: new Float32Array(2) } as unknown as Tensor
    expect(thrown(() => dims('f', { x: [value, '_'] })).message).toContain('whole numbers ≥ 0')
  })

  test('data that does not fit the dims; products that overflow', () => {
    const x = tensor('float32', [2, 3], new Float32Array(5))
    expect(thrown(() => dims('f', { x: [x, 'N C'] })).message).toBe('f: "x" must be 6 elements for dims [2, 3], got 5')
    const huge = tensor('float32', [2 ** 40, 2 ** 40], new Float32Array(1))
    expect(thrown(() => dims('f', { x: [huge, 'N C'] })).message).toMatch(/elements for dims/)
  })

  test('a detached buffer is named as such', () => {
    const data = new Float32Array(4)
    structuredClone(data.buffer, { transfer: [data.buffer] })
    expect(thrown(() => dims('f', { x: [tensor('float32', [4], data), 'N'] })).message).toContain('detached')
  })
})
