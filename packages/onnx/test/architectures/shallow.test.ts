import { rng } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { shallow } from '../../src/index.js'

const sizes = { inputs: 600, bottleneck: 50, hidden: 400, classes: 7 }

describe('shallow', () => {
  it('has two matrices in place of one, and drawing them again gives the same', () => {
    const { graph } = shallow({ ...sizes, rng: rng(3) })
    expect([...graph.initializers].map(([name, { dims }]) => [name, dims])).toEqual([
      ['bottleneck.weight', [50, 600]],
      ['fc1.weight', [400, 50]],
      ['fc1.bias', [400]],
      ['fc2.weight', [7, 400]],
      ['fc2.bias', [7]],
    ])
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Gemm', 'Gemm', 'Relu', 'Gemm'])
    expect(shallow({ ...sizes, rng: rng(3) })).toEqual(shallow({ ...sizes, rng: rng(3) }))
  })

  it('without a bottleneck reads the inputs', () => {
    const { graph } = shallow({ ...sizes, bottleneck: 0, rng: rng(3) })
    expect(graph.initializers.get('fc1.weight')!.dims).toEqual([400, 600])
    expect(graph.nodes).toHaveLength(3)
  })

  it('refuses sizes that are none', () => {
    for (const wrong of [
      { inputs: 0 },
      { hidden: 1.5 },
      { classes: -1 },
      { bottleneck: -1 },
      { bottleneck: Number.NaN },
    ])
      expect(() => shallow({ ...sizes, rng: rng(1), ...wrong })).toThrow(Object.keys(wrong)[0])
    expect(() => shallow({ ...sizes, rng: undefined as never })).toThrow(/rng/)
  })
})
