import { tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import {
  builder,
  float,
  foldConstants,
  type Graph,
  inlineFunctions,
  parameterNames,
  tensorOf,
} from '../../src/index.js'
import { goldenJson, goldenModel } from '../golden.js'

interface Folded {
  readonly outputs: { readonly [name: string]: [dims: number[], values: number[]] }
}

describe('foldConstants', () => {
  test('gives the bits that ONNX Runtime gives, functions and their attributes included', () => {
    const { graph } = inlineFunctions(goldenModel('folded.onnx'))
    const folded = foldConstants(reading(graph))
    expect(folded.nodes.map((node) => node.op)).toEqual(['Read'])
    for (const [name, [dims, values]] of Object.entries(goldenJson<Folded>('folded.json').outputs)) {
      const result = tensorOf(folded.initializers.get(name)!)
      expect({ name, dims: result.dims, values: Array.from(result.data as ArrayLike<number>, Number) }).toEqual({
        name,
        dims,
        values,
      })
    }
  })

  test('constants that do not fit an op are left to the runtime to refuse', () => {
    const b = builder()
    const floats = b.constant(tensor('float32', [2], Float32Array.of(0, 1.5)))
    const numbers = b.ints([1, 2])
    const results = [
      b.op('Concat', [numbers, floats], { axis: 0 }),
      b.op('Gather', [numbers, floats]),
      b.op('Slice', [numbers, b.ints([0]), b.ints([1]), b.ints([0, 0])]),
    ]
    b.output(b.op('Read', results))
    expect(foldConstants(b.graph()).nodes.map((node) => node.op)).toEqual(['Concat', 'Gather', 'Slice', 'Read'])
  })

  test('what If decides by stays computed', () => {
    const b = builder()
    const x = b.input('x', 'float32', [2, 3])
    const branch = (op: string): Graph => {
      const inner = builder()
      inner.output(inner.op(op, [x], {}, { outputs: [`${op} of x`] }))
      return inner.graph()
    }
    const rank = b.op('Size', [b.op('Shape', [x])])
    const isMatrix = b.op('Equal', [rank, b.op('Constant', [], { value_int: 2 })])
    b.op('If', [isMatrix], { then_branch: branch('Neg'), else_branch: branch('Abs') }, { outputs: ['y'] })
    b.op('Reshape', [x, b.op('Shape', [x])], {}, { outputs: ['z'] })
    for (const name of ['y', 'z']) b.output(name)
    const ops = foldConstants(b.graph()).nodes.map((node) => node.op)
    expect(ops).toEqual(['Shape', 'Size', 'Constant', 'Equal', 'If', 'Reshape'])
  })

  test('nodes with inputs left out that they need are left to the runtime', () => {
    const b = builder()
    const x = b.constant(tensor('float32', [4], new Float32Array(4)))
    b.op('Reshape', ['', b.ints([2, 2])], {}, { outputs: ['a'] })
    b.op('Gather', [x, ''], {}, { outputs: ['b'] })
    b.op('Concat', [x, ''], { axis: 0 }, { outputs: ['c'] })
    b.op('Read', ['a', 'b', 'c'], {}, { outputs: ['y'] })
    b.output('y')
    expect(foldConstants(b.graph()).nodes.map((node) => node.op)).toEqual(['Reshape', 'Gather', 'Concat', 'Read'])
  })

  test('a Reshape target of known sizes becomes an initializer, one with a symbolic batch stays right', () => {
    const b = builder()
    const x = b.input('x', 'float32', [2, 3, 4])
    const rows = b.op('Gather', [b.op('Shape', [x]), b.ints([0])])
    b.op('Reshape', [x, b.op('Concat', [rows, b.ints([-1])], { axis: 0 })], {}, { outputs: ['y'] })
    b.output('y')
    const folded = foldConstants(b.graph())
    expect(folded.nodes.map((node) => node.op)).toEqual(['Reshape'])
    expect(tensorOf(folded.initializers.get(folded.nodes[0]!.inputs[1]!)!).data).toEqual(BigInt64Array.of(2n, -1n))
  })

  test('weights to keep keep name and layout; Identity is followed', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 2])
    const w = b.initializer('w', tensor('float32', [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6)))
    const turned = b.op('Transpose', [b.op('Identity', [w])], { perm: [1, 0] })
    b.op('MatMul', [x, turned], {}, { outputs: ['y'] })
    b.output('y')
    const kept = foldConstants(b.graph(), { keep: parameterNames(b.graph()) })
    expect(kept.nodes.map((node) => [node.op, ...node.inputs])).toEqual([
      ['Transpose', 'w'],
      ['MatMul', 'x', turned],
    ])
    const folded = foldConstants(b.graph())
    expect(folded.nodes.map((node) => node.op)).toEqual(['MatMul'])
    expect(tensorOf(folded.initializers.get(turned)!)).toEqual(
      tensor('float32', [2, 3], Float32Array.of(1, 3, 5, 2, 4, 6)),
    )
  })

  test('an initializer that a caller may override, an output, and Dropout are left', () => {
    const b = builder()
    const ratio = b.scalar(0.5)
    b.initializer('c', tensor('float32', [2], Float32Array.of(1, 2)))
    b.input('c', 'float32', [2])
    b.op('Neg', ['c'], {}, { outputs: ['y'] })
    b.op('Sqrt', [b.initializer('k', tensor('float32', [1], Float32Array.of(4)))], {}, { outputs: ['z'] })
    b.op('Dropout', ['y', ratio], {}, { outputs: ['w'] })
    for (const name of ['w', 'z']) b.output(name)
    expect(foldConstants(b.graph()).nodes.map((node) => node.op)).toEqual(['Neg', 'Sqrt', 'Dropout'])
  })

  test('ops whose last bit depends on the machine, and tensors that would grow, are left', () => {
    const b = builder()
    const c = b.initializer('c', tensor('float32', [1], Float32Array.of(0.3)))
    b.op('Exp', [c], {}, { outputs: ['e'] })
    b.op('Expand', [c, b.ints([2 ** 20, 2 ** 20])], {}, { outputs: ['wide'] })
    b.op('Mul', [b.op('Elu', [c], { alpha: float(2) }), c], {}, { outputs: ['m'] })
    expect(foldConstants(reading(b.graph())).nodes.map((node) => node.op)).toEqual([
      'Exp',
      'Expand',
      'Elu',
      'Mul',
      'Read',
    ])
  })
})

/** With one node that reads everything, so that nothing is an output or dead. */
function reading(graph: Graph): Graph {
  const inputs = graph.nodes.flatMap((node) => node.outputs)
  const node = { name: '', op: 'Read', domain: 'test', inputs, outputs: ['read'], attributes: new Map() }
  return { ...graph, nodes: [...graph.nodes, node], outputs: [{ name: 'read' }] }
}
