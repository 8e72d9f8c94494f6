import { ShapeError } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import {
  type AttributeValue,
  builder,
  float,
  floats,
  inlineFunctions,
  type Model,
  normaliseOpset,
  tensorOf,
  validateGraph,
} from '../../src/index.js'
import { goldenModel, goldenModels } from '../golden.js'

/** A model of one node over an input of shape [N, 3, 4]. */
function model(
  opset: number,
  op: string,
  attributes: { [name: string]: AttributeValue },
  inputs: number[][] = [],
  outputs = ['y'],
): Model {
  const b = builder()
  b.input('x', 'float32', ['N', 3, 4])
  const constants = inputs.map((values) => b.ints(values))
  b.op(op, ['x', ...constants], attributes, { outputs })
  for (const output of outputs) b.output(output)
  return {
    irVersion: 8,
    opsets: new Map([['', opset]]),
    producer: '',
    graph: b.graph(),
    metadata: new Map(),
    functions: [],
  }
}

/** Ops, and for each node its constant inputs as lists. */
function forms(result: Model): unknown[] {
  const { nodes, initializers } = result.graph
  return nodes.map((node) => [
    node.op,
    ...node.inputs.flatMap((name) => {
      const constant = initializers.get(name)
      return constant === undefined ? [] : [Array.from(tensorOf(constant).data as ArrayLike<number>, Number)]
    }),
    ...[...node.attributes].map(([name, { value }]) => `${name} ${value}`),
  ])
}

describe('normaliseOpset', () => {
  test.each(goldenModels)('%s becomes a valid model of opset 17', (file) => {
    const result = normaliseOpset(goldenModel(file))
    expect(result.opsets.get('')).toBe(17)
    validateGraph(result.graph)
    expect(result.graph.outputs).toEqual(goldenModel(file).graph.outputs)
  })

  test('a whole old model: the forms of opset 17, initializers no longer among the inputs', () => {
    const result = normaliseOpset(goldenModel('old-8.onnx'))
    expect(result.graph.inputs.map(({ name }) => name)).toEqual(['x'])
    expect(forms(result)).toEqual([
      ['BatchNormalization', [1, 1, 1], [1, 1, 1], [0, 0, 0], [0, 0, 0], `epsilon ${Math.fround(1e-3)}`],
      ['Clip', [-1], [2]],
      ['Dropout', [0.25]],
      ['Shape'],
      ['Flatten', 'axis 1'],
      ['Softmax', 'axis -1'],
      ['Reshape'],
      ['ReduceSum', [1, 2], 'keepdims 0'],
      ['Unsqueeze', [1]],
      ['Pad', [0, 1, 0, 2], [0.5]],
      ['Slice', [1], [2 ** 53 - 1], [1]],
    ])
  })

  test.each([
    ['Squeeze', 11, { axes: [1] }, [['Squeeze', [1]]]],
    ['Split', 11, { split: [1, 2], axis: 1 }, [['Split', [1, 2], 'axis 1']]],
    ['LogSoftmax', 11, { axis: 2 }, [['LogSoftmax', 'axis -1']]],
    ['LogSoftmax', 13, { axis: 1 }, [['LogSoftmax', 'axis 1']]],
    ['TopK', 9, { k: 2 }, [['TopK', [2]]]],
    ['Reshape', 4, { shape: [-1, 12] }, [['Reshape', [-1, 12]]]],
    ['Relu', 1, { consumed_inputs: [0] }, [['Relu']]],
    ['Concat', 1, {}, [['Concat', 'axis 1']]],
    ['ReduceSum', 13, { keepdims: 0 }, [['ReduceSum', 'keepdims 0']]],
    ['Clip', 6, { max: float(6) }, [['Clip', [6]]]],
    ['Dropout', 10, {}, [['Dropout', [0.5]]]],
    ['Gelu', 20, { approximate: 'tanh' }, [['FastGelu']]],
    ['Cast', 19, { to: 1, saturate: 1 }, [['Cast', 'to 1']]],
  ] as const)('%s of opset %d', (op, opset, attributes, expected) => {
    expect(forms(normaliseOpset(model(opset, op, { ...attributes })))).toEqual(expected)
  })

  test('axes of newer reductions and uneven splits come back as opset 17 says them', () => {
    expect(forms(normaliseOpset(model(18, 'ReduceMean', { keepdims: 0 }, [[1]])))).toEqual([
      ['ReduceMean', 'keepdims 0', 'axes 1'],
    ])
    expect(forms(normaliseOpset(model(18, 'ReduceMean', { noop_with_empty_axes: 1 }, [[]])))).toEqual([['Identity']])
    const split = model(18, 'Split', { axis: 2, num_outputs: 3 }, [], ['a', 'b', 'c'])
    expect(forms(normaliseOpset(split))).toEqual([['Split', [2, 2, 0], 'axis 2']])
    expect(forms(normaliseOpset(model(18, 'Pad', {}, [[1, 2]])))).toEqual([['Pad', [1, 2]]])
  })

  test('a newer op that opset 17 does not have leaves the model as it is', () => {
    const mish = model(18, 'Mish', {})
    expect(normaliseOpset(mish)).toEqual(mish)
  })

  test('Upsample becomes the Resize that takes the same samples', () => {
    const result = normaliseOpset(model(7, 'Upsample', { scales: floats([1, 1, 2]) }))
    const [node] = result.graph.nodes
    expect(node).toMatchObject({ op: 'Resize', inputs: ['x', '', 'y.scales'] })
    expect(node?.attributes.get('coordinate_transformation_mode')).toEqual({ kind: 'string', value: 'asymmetric' })
    expect([...(tensorOf(result.graph.initializers.get('y.scales')!).data as Float32Array)]).toEqual([1, 1, 2])
  })

  test.each([
    ['Upsample', 1, { width_scale: float(2), height_scale: float(2) }, /of an old form/],
    ['Add', 6, { broadcast: 1, axis: 1 }, /broadcasts along an axis/],
    ['BatchNormalization', 7, { spatial: 0 }, /a mean for every pixel/],
    ['Resize', 10, {}, /before opset 11/],
    ['Relu', 999, {}, /opset 999 is not known/],
    ['Relu', 0, {}, /opset 0 is not known/],
  ])('%s of opset %d is refused', (op, opset, attributes, message) => {
    expect(() => normaliseOpset(model(opset, op, attributes))).toThrow(message)
    expect(() => normaliseOpset(model(opset, op, attributes))).toThrow(
      expect.objectContaining({ code: 'ERR_UNSUPPORTED' }),
    )
  })

  test('nodes in subgraphs are brought along', () => {
    const b = builder()
    b.input('x', 'float32', ['N', 3])
    b.input('c', 'bool', [])
    const branch = {
      ...builder().graph(),
      nodes: model(11, 'Squeeze', { axes: [0] }).graph.nodes,
      outputs: [{ name: 'y' }],
    }
    b.op('If', ['c'], { then_branch: branch, else_branch: branch }, { outputs: ['z'] })
    b.output('z')
    const whole: Model = { ...model(11, 'Relu', {}), graph: b.graph() }
    const inner = normaliseOpset(whole).graph.nodes[0]!.attributes.get('then_branch')!
    expect(inner.kind === 'graph' && inner.value.nodes[0]!.inputs).toHaveLength(2)
    validateGraph(normaliseOpset(whole).graph)
  })
})

test('pads that do not fit their axes are left to the runtime', () => {
  const padded = (pads: number[], axes: number[]): Model => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    b.output(b.op('Pad', [x, b.ints(pads), '', b.ints(axes)]))
    const opsets = new Map([['', 18]])
    return { irVersion: 8, opsets, producer: '', graph: b.graph(), metadata: new Map(), functions: [] }
  }
  expect(normaliseOpset(padded([1, 2], [-1])).opsets.get('')).toBe(17)
  for (const [pads, axes] of [
    [[1], [-1]],
    [
      [1, 2, 3],
      [0, 1],
    ],
  ] as const)
    expect(normaliseOpset(padded([...pads], [...axes])).opsets.get('')).toBe(18)
  expect(() => normaliseOpset(padded([1, 2], [5]))).toThrow(ShapeError)
})

describe('inlineFunctions', () => {
  test('calls become their nodes, with names of their own', () => {
    const { graph, functions, opsets } = inlineFunctions(goldenModel('folded.onnx'))
    expect(functions).toEqual([])
    expect([...opsets.keys()]).toEqual([''])
    validateGraph(graph)
    expect(graph.nodes.some((node) => node.domain === 'local')).toBe(false)
    const gain = graph.nodes.find((node) => node.op === 'Constant')
    expect(gain?.attributes.get('value_float')).toMatchObject({ kind: 'float', value: 3 })
  })

  test('functions that call themselves, or each other over and over, end in an error', () => {
    const call = (op: string, from: string, to: string) => ({
      name: '',
      op,
      domain: 'f',
      inputs: [from],
      outputs: [to],
      attributes: new Map(),
    })
    const base = { domain: 'f', inputs: ['a'], outputs: ['b'], opsets: new Map([['', 17]]) }
    const whole: Model = {
      ...model(17, 'Relu', {}),
      functions: [{ ...base, name: 'Self', nodes: [call('Self', 'a', 'b')] }],
    }
    const graph = { ...whole.graph, nodes: [call('Self', 'x', 'y')] }
    expect(() => inlineFunctions({ ...whole, graph })).toThrow(/calls itself/)
    const bomb = Array.from({ length: 40 }, (_, i) => ({
      ...base,
      name: `F${i}`,
      nodes: [call(`F${i + 1}`, 'a', 'm'), call(`F${i + 1}`, 'm', 'b')],
    }))
    expect(() =>
      inlineFunctions({ ...whole, functions: bomb, graph: { ...graph, nodes: [call('F0', 'x', 'y')] } }),
    ).toThrow(/more than 200000 nodes/)
  })

  test('a function for another opset is refused', () => {
    const whole = goldenModel('folded.onnx')
    expect(() => inlineFunctions({ ...whole, opsets: new Map([...whole.opsets, ['', 18]] as const) })).toThrow(
      /another|opset 17/,
    )
  })
})
