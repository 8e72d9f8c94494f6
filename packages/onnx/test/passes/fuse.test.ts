import { tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { type Builder, builder, floatAttribute, fuse, type Graph } from '../../src/index.js'

const ops = (graph: Graph, options = {}): string[] => fuse(graph, options).nodes.map((node) => node.op)

describe('fuse: x·½·(1 + erf(x/√2)) is Gelu', () => {
  const erf = (b: Builder, x: string): string =>
    b.op('Add', [b.op('Erf', [b.op('Div', [x, b.scalar(Math.SQRT2)])]), b.scalar(1)])
  const orders: [string, (b: Builder, x: string) => string][] = [
    ['(x·e)·½', (b, x) => b.op('Mul', [b.op('Mul', [x, erf(b, x)]), b.scalar(0.5)])],
    ['x·(½·e)', (b, x) => b.op('Mul', [x, b.op('Mul', [b.scalar(0.5), erf(b, x)])])],
    ['(½·x)·e', (b, x) => b.op('Mul', [b.op('Mul', [x, b.scalar(0.5)]), erf(b, x)])],
  ]
  const graphOf = (write: (b: Builder, x: string) => string): Graph => {
    const b = builder()
    b.output(write(b, b.input('x', 'float32', ['N', 4])))
    return b.graph()
  }

  test.each(orders)('%s', (_name, write) => {
    const graph = fuse(graphOf(write))
    expect(graph.nodes).toMatchObject([{ op: 'Gelu', domain: 'com.microsoft', inputs: ['x'] }])
    expect(graph.nodes[0]?.outputs).toEqual(graphOf(write).outputs.map(({ name }) => name))
    // Plain ONNX of opset 17 has no Gelu.
    expect(ops(graphOf(write), { lowering: 'portable' })).toContain('Erf')
  })

  test('not with another scale, nor another factor, nor where something else reads a part of it', () => {
    const almost = (scale: number, half: number): Graph =>
      graphOf((b, x) => {
        const e = b.op('Add', [b.op('Erf', [b.op('Div', [x, b.scalar(scale)])]), b.scalar(1)])
        return b.op('Mul', [b.op('Mul', [x, e]), b.scalar(half)])
      })
    expect(ops(almost(Math.SQRT2, 0.5))).toEqual(['Gelu'])
    expect(ops(almost(1.5, 0.5))).toContain('Erf')
    expect(ops(almost(Math.SQRT2, 0.25))).toContain('Erf')
    const read = graphOf((b, x) => {
      const e = erf(b, x)
      return b.op('Add', [b.op('Mul', [b.op('Mul', [x, e]), b.scalar(0.5)]), e])
    })
    expect(ops(read)).toContain('Erf')
  })

  test('not where the factor is a weight', () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 4])
    const half = b.initializer('half', tensor('float32', [1], Float32Array.of(0.5)))
    b.output(b.op('Mul', [b.op('Mul', [x, erf(b, x)]), half]))
    expect(ops(b.graph())).toEqual(['Gelu'])
    expect(ops(b.graph(), { trained: ['half'] })).toContain('Erf')
  })
})

describe('fuse: the mean, the deviation, scale and shift are LayerNormalization', () => {
  const normalized = (axes: number[], write: (b: Builder, centred: string) => string, width = 4): Graph => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 3, 4])
    const centred = b.op('Sub', [x, b.op('ReduceMean', [x], { axes })])
    const variance = b.op('ReduceMean', [write(b, centred)], { axes })
    const quotient = b.op('Div', [centred, b.op('Sqrt', [b.op('Add', [variance, b.scalar(1e-6)])])])
    const gamma = b.initializer('gamma', tensor('float32', [width], new Float32Array(width).fill(2)))
    const beta = b.initializer('beta', tensor('float32', [width], new Float32Array(width)))
    b.output(b.op('Add', [beta, b.op('Mul', [quotient, gamma])]))
    return b.graph()
  }
  const power = (b: Builder, centred: string): string => b.op('Pow', [centred, b.scalar(2)])

  test.each([
    ['Pow, axis −1', [-1], power],
    ['Mul, last axis', [2], (b: Builder, centred: string) => b.op('Mul', [centred, centred])],
  ] as const)('%s', (_name, axes, write) => {
    const [node, ...others] = fuse(normalized([...axes], write)).nodes
    expect(others).toEqual([])
    expect(node).toMatchObject({ op: 'LayerNormalization', domain: '', inputs: ['x', 'gamma', 'beta'] })
    expect(floatAttribute(node!, 'epsilon', 0)).toBeCloseTo(1e-6, 9)
    expect(ops(normalized([...axes], write), { lowering: 'portable' })).toEqual(['LayerNormalization'])
  })

  test('not over another axis, nor with another power, nor with a scale of one number', () => {
    expect(ops(normalized([1], power))).not.toContain('LayerNormalization')
    expect(ops(normalized([1, 2], power))).not.toContain('LayerNormalization')
    expect(ops(normalized([-1], (b, centred) => b.op('Pow', [centred, b.scalar(4)])))).not.toContain(
      'LayerNormalization',
    )
    expect(ops(normalized([-1], power, 1))).not.toContain('LayerNormalization')
  })
})
