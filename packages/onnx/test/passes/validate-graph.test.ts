import { rng } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { builder, type Graph, mlp, type Node, removeDeadCode, topologicalSort, validateGraph } from '../../src/index.js'
import { goldenModel, goldenModels } from '../golden.js'

const node = (inputs: string[], outputs: string[], attributes: Node['attributes'] = new Map()): Node => ({
  name: '',
  op: 'Sum',
  domain: '',
  inputs,
  outputs,
  attributes,
})
const graph = (nodes: Node[], inputs = ['x'], outputs: string[] = []): Graph => ({
  ...builder().graph(),
  nodes,
  inputs: inputs.map((name) => ({ name })),
  outputs: outputs.map((name) => ({ name })),
})

describe('validateGraph', () => {
  test.each(goldenModels)('%s is valid', (file) => validateGraph(goldenModel(file).graph))

  test.each([
    ['a value made twice', graph([node(['x'], ['a']), node(['x'], ['a'])]), /makes the value "a", which Sum node/],
    ['a node output called as an input', graph([node(['x'], ['x'])]), /makes the value "x", which graph input "x"/],
    ['an input twice', graph([], ['x', 'x']), /graph input "x"/],
    ['an input that nothing makes', graph([node(['nowhere'], ['a'])]), /reads the value "nowhere"/],
    ['an output that nothing makes', graph([], ['x'], ['y']), /graph output "y": is made by no node/],
    ['a circle', graph([node(['x', 'b'], ['a']), node(['a'], ['b'])]), /in a circle/],
    ['a node that reads itself', graph([node(['a'], ['a'])]), /in a circle/],
    ['a subgraph that shadows', graph([withBody(graph([node(['x'], ['x'])], []))]), /the graph around makes as well/],
    ['a subgraph that reads nothing', graph([withBody(graph([node(['y'], ['z'])], []))]), /reads the value "y"/],
  ])('%s', (_, wrong, message) => {
    expect(() => validateGraph(wrong)).toThrow(message)
    expect(() => validateGraph(wrong)).toThrow(expect.objectContaining({ code: 'ERR_FORMAT' }))
  })

  test('a subgraph may read what is around it', () => {
    validateGraph(graph([node(['x'], ['a']), withBody(graph([node(['a', 'x'], ['z'])], [], ['z']))]))
  })

  test('a chain of 100,000 nodes, front to back and back to front, takes no stack', () => {
    const chain = Array.from({ length: 100_000 }, (_, i) => node([i === 0 ? 'x' : `v${i - 1}`], [`v${i}`]))
    const forth = graph(chain, ['x'], ['v99999'])
    const back = graph([...chain].reverse(), ['x'], ['v99999'])
    validateGraph(back)
    expect(topologicalSort(forth)).toBe(forth)
    expect(topologicalSort(back).nodes.every((node, i) => node === chain[i])).toBe(true)
    expect(removeDeadCode(forth).nodes).toHaveLength(100_000)
  })
})

describe('topologicalSort and removeDeadCode', () => {
  test('any order of a graph is sorted, with the same nodes', () => {
    const { graph: sorted } = mlp([3, 4, 5, 6, 2], { rng: rng(1), dropout: { hidden: 0.5 } })
    const positions = [...sorted.nodes.keys()]
    fc.assert(
      fc.property(fc.shuffledSubarray(positions, { minLength: positions.length }), (order) => {
        const result = topologicalSort({ ...sorted, nodes: order.map((i) => sorted.nodes[i]!) })
        expect(result.nodes).toEqual(sorted.nodes) // a chain has one order only
      }),
    )
  })

  test('what no output needs goes, inputs stay, and what a subgraph reads stays', () => {
    const b = builder()
    b.input('x', 'float32', [1])
    b.input('unused', 'float32', [1])
    b.scalar(1)
    const kept = b.scalar(2)
    b.op('Neg', ['x'], {}, { outputs: ['dead'] })
    b.op('Abs', ['x'], {}, { outputs: ['inner'] })
    const whole = b.graph()
    const nodes = [...whole.nodes, withBody(graph([node(['inner', kept], ['z'])], [], ['z']))]
    const live = removeDeadCode({ ...whole, nodes, outputs: [{ name: 'body' }] })
    expect(live.nodes.map(({ op }) => op)).toEqual(['Abs', 'Sum'])
    expect([...live.initializers.keys()]).toEqual([kept])
    expect(live.inputs).toHaveLength(2)
  })
})

function withBody(body: Graph): Node {
  return node([], ['body'], new Map([['body', { kind: 'graph', value: body }]]))
}
