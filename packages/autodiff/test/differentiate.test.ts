import { lenet5, mlp } from '@imago/onnx'
import { rng } from '@imago/tensor'
import { expect, test } from 'vitest'
import { differentiate } from '../src/index.js'

test('a model with dropout, with respect to its weights', () => {
  const model = mlp([6, 5, 4, 3], { rng: rng(1), dropout: { input: 0.2, hidden: 0.5 } })
  const program = differentiate(model)
  expect(program.inputs).toEqual(['input'])
  expect([...program.parameters].sort()).toEqual(
    ['fc1.bias', 'fc1.weight', 'fc2.bias', 'fc2.weight', 'fc3.bias', 'fc3.weight'].sort(),
  )
  expect(program.noise.map(({ probability }) => Number(probability.toFixed(6)))).toEqual([0.2, 0.5, 0.5])
  expect(Object.keys(program.cotangents)).toEqual(['logits'])
})

test('a convolutional model, some weights frozen', () => {
  const { parameters, forward, backward } = differentiate(lenet5({ rng: rng(1) }), { wrt: ['fc3.weight', 'fc3.bias'] })
  expect(parameters).toEqual(['fc3.weight', 'fc3.bias'])
  expect([...forward.initializers.keys()]).toContain('conv1.weight')
  // Nothing is computed towards weights that stay.
  expect(backward.nodes.map((node) => node.op)).toEqual(['Gemm', 'ReduceSum'])
})
