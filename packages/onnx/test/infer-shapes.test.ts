import { tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { builder, inferShapes } from '../src/index.js'

const shapeOf = (graph: Parameters<typeof inferShapes>[0], name: string, options = {}) =>
  inferShapes(graph, options).get(name)?.shape

describe('inferShapes', () => {
  test('an MLP layer keeps the symbolic batch', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 784])
    const w = b.initializer('w', tensor('float32', [10, 784], new Float32Array(7840)))
    const h = b.op('Relu', [b.op('Gemm', [x, w], { transB: 1 })])
    expect(shapeOf(b.graph(), h)).toEqual(['N', 10])
    expect(shapeOf(b.graph(), h, { inputs: { x: [3, 784] } })).toEqual([3, 10])
  })

  test('a Reshape target computed from Shape keeps the symbolic batch', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 16, 4, 4])
    const n = b.op('Gather', [b.op('Shape', [x]), b.ints([0])])
    const target = b.op('Concat', [n, b.ints([-1])], { axis: 0 })
    expect(shapeOf(b.graph(), b.op('Reshape', [x, target]))).toEqual(['N', 256])
    const merged = b.op('Reshape', [x, b.ints([-1, 4])])
    expect(shapeOf(b.graph(), merged)).toEqual(['64*N', 4])
  })

  test('an unknown op leaves its outputs out and its consumers as far as they go', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    const odd = b.op('Mystery', [x], {}, { domain: 'elsewhere' })
    const sum = b.op('Add', [odd, x])
    const infos = inferShapes(b.graph())
    expect(infos.has(odd)).toBe(false)
    expect(infos.get(sum)).toEqual({ name: sum, type: 'float32' })
  })

  test('shapes that contradict each other are refused with the node named', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    const w = b.input('w', 'float32', [5, 3])
    b.op('MatMul', [x, w], {}, { name: 'fc' })
    expect(() => inferShapes(b.graph())).toThrow(/MatMul node "fc".*4 and 5/)
  })
})
