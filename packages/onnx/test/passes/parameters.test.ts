import { rng, tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import {
  builder,
  constantOf,
  encode,
  incomingAxes,
  liftWeights,
  mlp,
  normaliseOpset,
  parameterNames,
  sinkWeights,
  tensorOf,
  tiedParameters,
} from '../../src/index.js'
import { goldenModel } from '../golden.js'

const random = (dims: readonly number[], seed = 1) => {
  const draw = rng(seed)
  const count = dims.reduce((a, b) => a * b, 1)
  return tensor(
    'float32',
    dims,
    Float32Array.from({ length: count }, () => draw.normal()),
  )
}

describe('parameterNames', () => {
  // What module.named_parameters() lists in make_goldens.py, less what a constant-folding exporter renamed (mlp has none).
  test.each([
    ['mlp-17.onnx', 'a.weight a.bias bn.weight bn.bias b.weight b.bias'],
    ['convolutional-9.onnx', 'c1.weight c1.bias c2.weight bn.weight bn.bias f.weight f.bias'],
    ['depthwise-17.onnx', 'c.weight c.bias d.weight d.bias p.weight t.weight t.bias f.weight f.bias'],
    [
      'attention-11.onnx',
      'pos e.weight q.weight q.bias o.weight o.bias ln.weight ln.bias m1.weight m1.bias m2.weight m2.bias h.weight h.bias',
    ],
    [
      'attention-17.onnx',
      'pos e.weight q.weight q.bias o.weight o.bias ln.weight ln.bias m1.weight m1.bias m2.weight m2.bias h.weight h.bias',
    ],
    ['misc-17.onnx', 'w g'],
    ['misc-18.onnx', 'w g'],
  ])('%s: the parameters of the PyTorch module', (file, expected) => {
    const { graph } = normaliseOpset(goldenModel(file))
    expect([...parameterNames(graph)].sort()).toEqual(expected.split(' ').sort())
  })

  test('gates that an exporter puts in another order are still the weights of an LSTM', () => {
    const b = builder()
    const x = b.input('x', 'float32', [5, 'N', 2])
    const part = (name: string, from: number): string => b.op('Slice', [name, b.ints([from]), b.ints([from + 3])])
    const gates = (name: string, dims: readonly number[]): string => {
      const w = b.initializer(name, random(dims))
      return b.op('Unsqueeze', [b.op('Concat', [part(w, 9), part(w, 0)], { axis: 0 }), b.ints([0])])
    }
    b.op('LSTM', [x, gates('w', [12, 2]), gates('r', [12, 3])], { hidden_size: 3 }, { outputs: ['y'] })
    b.output('y')
    expect(parameterNames(b.graph())).toEqual(['w', 'r'])
  })

  test('what a matrix is computed from are weights; ε, and masks of pruning and of attention, are none', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 3])
    const direction = b.initializer('direction', random([4, 3]))
    const length = b.op('Sqrt', [b.op('Add', [b.op('ReduceSumSquare', [direction], { axes: [1] }), b.scalar(1e-6)])])
    const scaled = b.op('Mul', [b.op('Div', [direction, length]), b.initializer('length', random([4, 1]))])
    const kept = b.initializer('kept', tensor('float32', [4, 3], Float32Array.of(1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0)))
    const scores = b.op('Gemm', [x, b.op('Mul', [scaled, kept])], { transB: 1 })
    const no = Number.NEGATIVE_INFINITY
    const mask = b.initializer('mask', tensor('float32', [4], Float32Array.of(0, no, 0, no)))
    const bias = b.initializer('bias', random([4]))
    b.output(b.op('Softmax', [b.op('Add', [b.op('Add', [scores, mask]), bias])]))
    expect(parameterNames(b.graph())).toEqual(['direction', 'length', 'bias'])
  })

  test('constants of a normalisation, scalars, and what reaches no output are none', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 3])
    const mean = b.initializer('mean', random([3]))
    const w = b.initializer('w', random([3, 2]))
    const y = b.op('Mul', [b.op('MatMul', [b.op('Sub', [x, mean]), w]), b.scalar(0.5)])
    b.op('Add', [y, b.initializer('b', random([2]))], {}, { outputs: ['y'] })
    b.op('MatMul', [x, b.initializer('dead', random([3, 2]))])
    b.op('Greater', [b.op('MatMul', [x, b.initializer('cut', random([3, 2]))]), b.scalar(0)], {}, { outputs: ['z'] })
    for (const name of ['y', 'z']) b.output(name)
    expect(parameterNames(b.graph())).toEqual(['w', 'b'])
  })

  test('a bias of one element behind a matrix product is one', () => {
    const b = builder()
    const y = b.op('MatMul', [b.input('x', 'float32', ['N', 3]), b.initializer('w', random([3, 1]))])
    b.op('Add', [y, b.initializer('b', random([1]))], {}, { outputs: ['y'] })
    b.output('y')
    expect(parameterNames(b.graph())).toEqual(['w', 'b'])
  })
})

describe('incomingAxes', () => {
  test('follows the op, its flags, and Transpose', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    const weight = (name: string) => b.initializer(name, random([4, 4]))
    b.op('Gemm', [x, weight('rows')], { transB: 1 })
    b.op('Gemm', [x, weight('columns')])
    b.op('MatMul', [x, weight('product')])
    b.op('MatMul', [x, b.op('Transpose', [weight('turned')], { perm: [1, 0] })])
    b.op('MatMul', [weight('left'), x])
    b.op('FusedMatMul', [x, weight('fused')], { transB: 1 }, { domain: 'com.microsoft' })
    const both = weight('both')
    b.op('MatMul', [b.op('Gemm', [x, both], { transB: 1 }), both])
    expect(incomingAxes(b.graph())).toEqual({
      rows: 'rows',
      columns: 'columns',
      product: 'columns',
      turned: 'rows',
      left: 'rows',
      fused: 'rows',
    })
  })

  test('finds weights that were lifted to inputs', () => {
    const { graph } = mlp([3, 4, 2], { rng: rng(1) })
    const lifted = liftWeights(graph, parameterNames(graph)).graph
    expect(incomingAxes(lifted)).toEqual({ 'fc1.weight': 'rows', 'fc2.weight': 'rows' })
  })
})

describe('liftWeights and sinkWeights', () => {
  const model = mlp([3, 4, 2], { rng: rng(1) })
  const names = parameterNames(model.graph)

  test('there and back gives the same model', () => {
    const { graph, parameters } = liftWeights(model.graph, names)
    expect(graph.inputs.map(({ name }) => name)).toEqual(['input', ...names])
    expect([...graph.initializers.keys()]).toEqual([])
    expect(encode({ ...model, graph: sinkWeights(graph, parameters) })).toEqual(encode(model))
  })

  test('lifted values may change without changing the model', () => {
    const before = encode(model)
    const { parameters } = liftWeights(model.graph, names)
    for (const name of names) (parameters[name]!.data as Float32Array).fill(7)
    expect(encode(model)).toEqual(before)
    const changed = sinkWeights(model.graph, parameters)
    expect(tensorOf(changed.initializers.get('fc1.bias')!).data).toEqual(Float32Array.of(7, 7, 7, 7))
  })

  test('names that are not there are refused', () => {
    expect(() => liftWeights(model.graph, ['fc9.weight'])).toThrow(expect.objectContaining({ code: 'ERR_NOT_FOUND' }))
    expect(() => sinkWeights(model.graph, { nothing: random([1]) })).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_FOUND' }),
    )
  })
})

test('tiedParameters finds weights that are there twice, and no biases of zeros', () => {
  const { graph } = mlp([4, 4, 4, 4], { rng: rng(1) })
  expect(tiedParameters(graph)).toEqual([])
  const copy = constantOf('copy', tensorOf(graph.initializers.get('fc2.weight')!))
  const tied = { ...graph, initializers: new Map([...graph.initializers, ['copy', copy] as const]) }
  expect(tiedParameters(tied)).toEqual([['fc2.weight', 'copy']])
})
