import { tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { type Builder, builder, inferShapes, unpackSequences } from '../../src/index.js'

const scalar = (b: Builder, value: number): string => b.constant(tensor('int64', [], BigInt64Array.of(BigInt(value))))

describe('unpackSequences', () => {
  test('chunks become one Split, the last piece what is left; an index may count from the end', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 5, 3])
    const list = b.op('SplitToSequence', [x, scalar(b, 2)], { axis: 1 })
    b.op('SequenceAt', [list, scalar(b, 0)], {}, { outputs: ['first'] })
    b.op('SequenceAt', [list, scalar(b, -1)], {}, { outputs: ['last'] })
    b.output('first')
    b.output('last')
    const graph = unpackSequences(b.graph())
    expect(graph.nodes.map((node) => node.op)).toEqual(['Split', 'Identity', 'Identity'])
    const shapes = inferShapes(graph)
    expect(shapes.get('first')?.shape).toEqual(['N', 2, 3])
    expect(shapes.get('last')?.shape).toEqual(['N', 1, 3])
  })

  test('unbind and stack lose an axis and gain one', () => {
    const b = builder()
    const x = b.input('x', 'float32', [3, 'N', 4])
    const list = b.op('SplitToSequence', [x], { axis: 0, keepdims: 0 }, { name: 'unbind' })
    b.op('ConcatFromSequence', [list], { axis: -1, new_axis: 1 }, { outputs: ['y'], name: 'stack' })
    b.output('y')
    const graph = unpackSequences(b.graph())
    expect(graph.nodes.some((node) => node.op.includes('Sequence'))).toBe(false)
    // ONNX Runtime refuses two nodes of one name.
    const names = graph.nodes.map((node) => node.name).filter((name) => name !== '')
    expect(new Set(names).size).toBe(names.length)
    expect(inferShapes(graph).get('y')?.shape).toEqual(['N', 4, 3])
  })

  test('a list that grows piece by piece, and is joined', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    let list = b.op('SequenceEmpty', [])
    list = b.op('SequenceInsert', [list, x])
    list = b.op('SequenceInsert', [list, b.op('Neg', [x]), scalar(b, 0)])
    b.op('ConcatFromSequence', [list], { axis: 1 }, { outputs: ['y'] })
    b.output('y')
    const { nodes } = unpackSequences(b.graph())
    expect(nodes.map((node) => node.op)).toEqual(['Neg', 'Concat'])
    expect(nodes[1]?.inputs).toEqual([nodes[0]?.outputs[0], 'x'])
  })

  test('a place that callers may feed is not told by its default', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    const at = b.input('at', 'int64', [])
    const list = b.op('SequenceConstruct', [x, b.op('Neg', [x])])
    b.op('SequenceAt', [list, at], {}, { outputs: ['y'] })
    b.output('y')
    const graph = b.graph()
    const zero = { name: 'at', type: 'int64', dims: [], values: [0n] } as const
    const fed = unpackSequences({ ...graph, initializers: new Map([...graph.initializers, ['at', zero]]) })
    expect(fed.nodes.map((node) => node.op)).toEqual(['Neg', 'SequenceConstruct', 'SequenceAt'])
    expect(fed.initializers.has('at')).toBe(true)
  })

  test('what cannot be told stays: unknown sizes, computed places, a list that is an output', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    const where = b.input('where', 'int64', [])
    const rows = b.op('SplitToSequence', [x], { axis: 0 })
    b.op('SequenceAt', [rows, where], {}, { outputs: ['row'] })
    b.op('SplitToSequence', [x], { axis: 1 }, { outputs: ['columns'] })
    b.op('SequenceAt', ['columns', scalar(b, 7)], {}, { outputs: ['far'] })
    for (const name of ['row', 'columns', 'far']) b.output(name)
    expect(unpackSequences(b.graph()).nodes.map((node) => node.op)).toEqual([
      'SplitToSequence',
      'SequenceAt',
      'SplitToSequence',
      'SequenceAt',
    ])
  })
})
