import { builder, float, type Graph } from '@imago/onnx'
import { tensor, UnsupportedError } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { training, vjp } from '../src/index.js'

function net(options: { readonly ratio?: number; readonly readsMask?: boolean } = {}): Graph {
  const b = builder()
  b.input('x', 'float32', ['N', 3, 4, 4])
  for (const name of ['gamma', 'beta', 'mean', 'variance'])
    b.initializer(name, tensor('float32', [3], Float32Array.of(1, 1, 1)))
  const normalized = b.op('BatchNormalization', ['x', 'gamma', 'beta', 'mean', 'variance'], { momentum: float(0.75) })
  const ratio = b.constant(tensor('float32', [], Float32Array.of(options.ratio ?? 0.25)))
  const [y, mask] = b.ops('Dropout', [normalized, ratio], {}, { outputs: ['y', 'mask'] })
  b.output(y!)
  if (options.readsMask) b.output(mask!)
  return b.graph()
}

describe('Dropout', () => {
  test('becomes a product with a mask that is fed', () => {
    const { graph, noise } = training(net())
    expect(noise).toEqual([{ name: 'dropout:y', dims: ['N', 3, 4, 4], probability: 0.25 }])
    expect(graph.nodes.at(-1)).toMatchObject({ op: 'Mul', outputs: ['y'] })
    expect(graph.inputs.at(-1)).toEqual({ name: 'dropout:y', type: 'float32', shape: ['N', 3, 4, 4] })
  })

  test('of probability 0 passes everything', () => {
    const { graph, noise } = training(net({ ratio: 0 }))
    expect(noise).toEqual([])
    expect(graph.nodes.at(-1)).toMatchObject({ op: 'Identity', outputs: ['y'] })
  })

  test('with a mask that the model reads is refused', () => {
    expect(() => training(net({ readsMask: true }))).toThrow(UnsupportedError)
  })

  test('with a probability of 1 is refused', () => {
    expect(() => training(net({ ratio: 1 }))).toThrow(/less than 1/)
  })
})

describe('BatchNormalization', () => {
  test('in batch mode puts out the statistics of the batch', () => {
    const { graph, statistics } = training(net())
    const node = graph.nodes.find((candidate) => candidate.op === 'BatchNormalization')!
    expect(node.outputs).toHaveLength(3)
    expect(node.attributes.get('training_mode')).toEqual({ kind: 'int', value: 1n })
    expect(node.attributes.get('momentum')).toEqual({ kind: 'float', value: 0 })
    expect(statistics).toEqual([
      { parameter: 'mean', value: node.outputs[1], momentum: 0.75, perRow: 0 },
      { parameter: 'variance', value: node.outputs[2], momentum: 0.75, perRow: 16 },
    ])
  })

  test('may be frozen node by node', () => {
    const { graph, statistics } = training(net(), {
      batchNorm: (node) => (node.inputs[3] === 'mean' ? 'frozen' : 'batch'),
    })
    expect(statistics).toEqual([])
    expect(graph.nodes.find((node) => node.op === 'BatchNormalization')?.outputs).toHaveLength(1)
    expect(training(net(), { batchNorm: () => 'batch' }).statistics).toHaveLength(2)
  })

  test('over several rows of each sample counts them', () => {
    const b = builder()
    b.input('x', 'float32', ['N', 5, 3])
    for (const name of ['gamma', 'beta', 'mean', 'variance'])
      b.initializer(name, tensor('float32', [3], Float32Array.of(1, 1, 1)))
    const rows = b.op('Reshape', ['x', b.ints([-1, 3])])
    b.output(b.op('BatchNormalization', [rows, 'gamma', 'beta', 'mean', 'variance']))
    expect(training(b.graph()).statistics.map(({ perRow }) => perRow)).toEqual([0, 5])
  })

  test('frozen stays as it is', () => {
    const { graph, statistics } = training(net(), { batchNorm: 'frozen' })
    expect(statistics).toEqual([])
    expect(graph.nodes.find((node) => node.op === 'BatchNormalization')?.attributes.has('training_mode')).toBe(false)
  })
})

test('the program names noise, statistics and their values', () => {
  const form = training(net())
  const program = vjp(form.graph, { ...form, wrt: ['gamma', 'beta'] })
  expect(program.inputs).toEqual(['x'])
  expect(program.noise).toBe(form.noise)
  for (const { value } of program.statistics) expect(program.saved).toContain(value)
  expect(program.backward.inputs.map((input) => input.name)).toContain('dropout:y')
  expect([...program.forward.initializers.keys()]).toEqual(['mean', 'variance'])
})

test('the mask of Relu is read off the dropped-out value, which is kept anyway', () => {
  const b = builder()
  b.input('x', 'float32', ['N', 3])
  b.input('w', 'float32', [3, 3])
  b.input('v', 'float32', [3, 3])
  const hidden = b.op('Relu', [b.op('MatMul', ['x', 'w'])], {}, { outputs: ['hidden'] })
  b.output(b.op('MatMul', [b.op('Dropout', [hidden], {}, { outputs: ['dropped'] }), 'v']))
  const form = training(b.graph())
  expect(vjp(form.graph, { ...form, wrt: ['w', 'v'] }).saved).toEqual(['dropped'])
})
