import { tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { type Builder, builder, decideBranches, type Graph, tensorOf } from '../../src/index.js'

function branch(write: (b: Builder) => string): Graph {
  const b = builder()
  b.output(write(b))
  return b.graph()
}

describe('decideBranches', () => {
  test('takes the branch that sizes decide, under names of its own, and inside another one', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 1, 4])
    const axis = b.op('Constant', [], { value_ints: [1] })
    const isOne = b.op('Equal', [b.op('Gather', [b.op('Shape', [x]), axis]), b.ints([1])])
    const squeezed = (): Graph =>
      branch((inner) => inner.op('Squeeze', [x, inner.initializer('axes', tensor('int64', [1], BigInt64Array.of(1n)))]))
    const kept = (): Graph => branch((inner) => inner.op('Identity', [x]))
    const twice = branch((inner) =>
      inner.op('Neg', [inner.op('If', [isOne], { then_branch: squeezed(), else_branch: kept() })]),
    )
    b.op('If', [isOne], { then_branch: twice, else_branch: kept() }, { outputs: ['y'] })
    b.op('If', [isOne], { then_branch: squeezed(), else_branch: kept() }, { outputs: ['z'] })
    b.output('y')
    b.output('z')
    const graph = decideBranches(b.graph())
    expect(graph.nodes.map((node) => node.op)).toEqual(['Squeeze', 'Neg', 'Identity', 'Squeeze', 'Identity'])
    const made = graph.nodes.flatMap((node) => node.outputs)
    expect(new Set(made).size).toBe(made.length)
    for (const node of graph.nodes.filter(({ op }) => op === 'Squeeze'))
      expect(tensorOf(graph.initializers.get(node.inputs[1]!)!).data).toEqual(BigInt64Array.of(1n))
  })

  test('what the batch decides stays', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    const first = b.op('Gather', [b.op('Shape', [x]), b.ints([0])])
    const isOne = b.op('Equal', [first, b.ints([1])])
    const graphs = {
      then_branch: branch((inner) => inner.op('Neg', [x])),
      else_branch: branch((inner) => inner.op('Abs', [x])),
    }
    b.op('If', [isOne], graphs, { outputs: ['y'] })
    b.output('y')
    expect(decideBranches(b.graph()).nodes.map((node) => node.op)).toEqual(['Shape', 'Gather', 'Equal', 'If'])
  })
})
