import { tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { builder, evaluateDim, foldConstants, type Graph, inferShapes, normaliseOpset } from '../src/index.js'
import { goldenJson, goldenModel } from './golden.js'

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

  test('a negative size is no size', () => {
    const b = builder()
    const made = b.op('ConstantOfShape', [b.ints([-3])], {
      value: { name: '', type: 'int64', dims: [1], values: [7n] },
    })
    expect(shapeOf(b.graph(), made)).toEqual([expect.stringMatching(/^\?/)])
  })

  test('graphs made to keep it busy', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    let size = b.op('Gather', [b.op('Shape', [x]), b.ints([0])])
    // 2¹⁰⁰ symbols, were the product spelled.
    for (let i = 0; i < 100; i++) size = b.op('Mul', [size, size])
    expect(shapeOf(b.graph(), b.op('ConstantOfShape', [size]))).toEqual(['?'])
    const target = b.input('target', 'int64', [2 ** 31])
    expect(shapeOf(b.graph(), b.op('Reshape', [x, target]))).toBeUndefined()
    const images = b.input('images', 'float32', ['N', 1, 8, 8])
    const filters = b.input('filters', 'float32', [1, 1, 3, 3])
    b.op('Conv', [images, filters], { strides: [0, 1] })
    expect(() => inferShapes(b.graph())).toThrow(/strides are > 0/)
  })

  test('ops that pick, resize and contract keep the symbolic batch', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 8, 6, 4])
    const floats = (values: number[]): string =>
      b.constant(tensor('float32', [values.length], Float32Array.from(values)))
    const ints = (values: number[], dims: number[]): string =>
      b.constant(tensor('int64', dims, BigInt64Array.from(values, BigInt)))
    const shapes: [string, readonly (number | string)[]][] = [
      [b.op('Resize', [x, '', floats([1, 1, 1.5, 2])]), ['N', 8, 9, 8]],
      [b.op('Resize', [x, '', '', b.ints([12, 3])], { axes: [2, 3] }), ['N', 8, 12, 3]],
      [b.op('SpaceToDepth', [x], { blocksize: 2 }), ['N', 32, 3, 2]],
      [b.op('GridSample', [x, b.input('grid', 'float32', ['N', 5, 7, 2])]), ['N', 8, 5, 7]],
      [b.op('GatherND', [x, ints([0, 1, 2, 3], [2, 2])]), [2, 6, 4]],
      [b.op('CenterCropPad', [x, b.ints([3])], { axes: [-1] }), ['N', 8, 6, 3]],
      [b.op('Einsum', [x, b.input('w', 'float32', [8, 5])], { equation: 'nchw,cd->ndhw' }), ['N', 5, 6, 4]],
      [b.op('NegativeLogLikelihoodLoss', [x, b.input('t', 'int64', ['N', 6, 4])]), []],
    ]
    for (const [name, expected] of shapes) expect(shapeOf(b.graph(), name), name).toEqual(expected)
    const size = b.op('Mod', [b.op('Gather', [b.op('Shape', [x]), b.ints([1])]), b.ints([5])])
    expect(shapeOf(b.graph(), b.op('ConstantOfShape', [size]))).toEqual([3])
  })

  test('shapes that contradict each other are refused with the node named', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    const w = b.input('w', 'float32', [5, 3])
    b.op('MatMul', [x, w], {}, { name: 'fc' })
    expect(() => inferShapes(b.graph())).toThrow(/MatMul node "fc".*4 and 5/)
  })
})

interface Shapes {
  readonly models: {
    readonly [file: string]: { readonly [n: string]: { readonly [value: string]: [string, number[]] } }
  }
}

describe('inferShapes against the dims that ONNX Runtime gave', () => {
  const golden = goldenJson<Shapes>('shapes.json').models

  // After folding, as the other rooms see a graph: every size is a number or a multiple of N, and right at both batch sizes.
  test.each(Object.keys(golden))('%s, folded', (file) => {
    const { graph } = normaliseOpset(goldenModel(file))
    const infos = inferShapes(undeclared(foldConstants(graph)))
    for (const [n, values] of Object.entries(golden[file]!)) {
      const sizes = new Map([['N', Number(n)]])
      for (const [name, info] of infos) {
        if (values[name] === undefined) continue
        const got = info.shape?.map((dim) => evaluateDim(dim, sizes))
        expect({ name, type: info.type, shape: got }).toEqual({ name, type: values[name][0], shape: values[name][1] })
      }
    }
    for (const output of graph.outputs) expect(infos.get(output.name)?.shape, output.name).toBeDefined()
  })

  // As the file is, nothing may be wrong; what is not known then is a fresh symbol.
  test.each(Object.keys(golden))('%s, as it is', (file) => {
    const model = goldenModel(file)
    const opset = model.opsets.get('') ?? 17
    const infos = inferShapes(undeclared(model.graph), { opset })
    let known = 0
    for (const [n, values] of Object.entries(golden[file]!)) {
      for (const [name, [type, dims]] of Object.entries(values)) {
        const info = infos.get(name)
        if (info?.shape === undefined) continue
        expect({ name, type: info.type, rank: info.shape.length }).toEqual({ name, type: type, rank: dims.length })
        for (const [i, dim] of info.shape.entries()) {
          const size = evaluateDim(dim, new Map([['N', Number(n)]]))
          if (size !== undefined) expect([name, i, size]).toEqual([name, i, dims[i]])
        }
        known++
      }
    }
    expect(known).toBeGreaterThan(0)
  })
})

/** What the file says of intermediates and outputs would hide what inference finds. */
function undeclared(graph: Graph): Graph {
  return { ...graph, values: [], outputs: graph.outputs.map(({ name }) => ({ name })) }
}
