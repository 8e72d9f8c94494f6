import { rng } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import {
  decode,
  encode,
  incomingAxes,
  inferShapes,
  lenet5,
  mlp,
  parameterNames,
  tensorOf,
  validateGraph,
} from '../../src/index.js'

const weights = (model: ReturnType<typeof mlp>, name: string): Float32Array =>
  tensorOf(model.graph.initializers.get(name)!).data as Float32Array

function deviation(values: Float32Array): number {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length
  return Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length)
}

describe('mlp', () => {
  const model = mlp([784, 800, 800, 10], { rng: rng(1), dropout: { input: 0.2, hidden: 0.5 } })

  test('has the shapes and names that it says', () => {
    validateGraph(model.graph)
    const infos = inferShapes({ ...model.graph, outputs: [{ name: 'logits' }] })
    expect(infos.get('input')?.shape).toEqual(['N', 784])
    expect(infos.get('logits')).toEqual({ name: 'logits', type: 'float32', shape: ['N', 10] })
    const names = ['fc1', 'fc2', 'fc3'].flatMap((layer) => [`${layer}.weight`, `${layer}.bias`])
    expect(parameterNames(model.graph)).toEqual(names)
    expect(infos.get('fc1.weight')?.shape).toEqual([800, 784])
    expect(incomingAxes(model.graph)).toEqual({ 'fc1.weight': 'rows', 'fc2.weight': 'rows', 'fc3.weight': 'rows' })
    expect(model.graph.nodes.map((node) => node.op)).toEqual(
      'Dropout Gemm Relu Dropout Gemm Relu Dropout Gemm'.split(' '),
    )
  })

  test('the same seed gives the same bytes, another one does not', () => {
    const again = (seed: number): Uint8Array => encode(mlp([6, 5, 4], { rng: rng(seed) }))
    expect(again(1)).toEqual(again(1))
    expect(again(1)).not.toEqual(again(2))
    expect(encode(decode(again(1)))).toEqual(again(1))
  })

  test('a layer draws from its own generator: others do not move it', () => {
    const wide = mlp([6, 9, 4], { rng: rng(1) })
    const deep = mlp([6, 9, 7, 4], { rng: rng(1) })
    expect(weights(wide, 'fc1.weight')).toEqual(weights(deep, 'fc1.weight'))
  })

  // Standard errors of a deviation over n normal numbers are σ/√(2n): 5 of them.
  test.each([
    ['he' as const, Math.sqrt(2 / 784)],
    ['glorot' as const, Math.sqrt(2 / (784 + 100))],
    [{ normal: 0.01 }, 0.01],
  ])('%j weights have the deviation of the formula', (initial, expected) => {
    const values = weights(mlp([784, 100], { rng: rng(3), initial }), 'fc1.weight')
    expect(Math.abs(deviation(values) / expected - 1)).toBeLessThan(5 / Math.sqrt(2 * values.length))
    expect(weights(mlp([784, 100], { rng: rng(3), initial }), 'fc1.bias').every((x) => x === 0)).toBe(true)
  })

  test('arguments that make no model are refused', () => {
    const refused = expect.objectContaining({ code: 'ERR_ARGUMENT' })
    const random = rng(1)
    expect(() => mlp([784], { rng: random })).toThrow(refused)
    expect(() => mlp([784, 0], { rng: random })).toThrow(refused)
    expect(() => mlp([784, 1.5], { rng: random })).toThrow(refused)
    expect(() => mlp([4, 2], { rng: random, dropout: { hidden: 1 } })).toThrow(refused)
    expect(() => mlp([4, 2], { rng: random, initial: { normal: -1 } })).toThrow(refused)
    expect(() => mlp([4, 2], { rng: random, activation: 'Swish' as 'Relu' })).toThrow(refused)
    expect(() => mlp([4, 2], {} as { rng: typeof random })).toThrow(/rng\(seed\)/)
  })
})

describe('lenet5', () => {
  test('has the sizes of the paper, scaled by width', () => {
    const model = lenet5({ rng: rng(1) })
    validateGraph(model.graph)
    const infos = inferShapes({ ...model.graph, outputs: [{ name: 'logits' }] })
    expect(infos.get('logits')?.shape).toEqual(['N', 10])
    expect(infos.get('conv2.output')?.shape).toEqual(['N', 16, 10, 10])
    // 5·5·6 + 6, 6·5·5·16 + 16, 400·120 + 120, 120·84 + 84, 84·10 + 10
    const count = parameterNames(model.graph).reduce((sum, name) => sum + weights(model, name).length, 0)
    expect(count).toBe(156 + 2416 + 48120 + 10164 + 850)
    const half = lenet5({ rng: rng(1), width: 0.5, classes: 4 })
    expect(inferShapes({ ...half.graph, outputs: [{ name: 'logits' }] }).get('logits')?.shape).toEqual(['N', 4])
    expect(half.graph.initializers.get('conv1.weight')?.dims).toEqual([3, 1, 5, 5])
    expect(incomingAxes(model.graph)).toMatchObject({ 'conv1.weight': 'rows', 'fc3.weight': 'rows' })
  })

  test('arguments that make no model are refused', () => {
    const refused = expect.objectContaining({ code: 'ERR_ARGUMENT' })
    expect(() => lenet5({ rng: rng(1), classes: 0 })).toThrow(refused)
    expect(() => lenet5({ rng: rng(1), width: Number.NaN })).toThrow(refused)
  })
})
