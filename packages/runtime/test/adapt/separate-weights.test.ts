import { type Model, tensorOf } from '@imago/onnx'
import { type Tensor, tensor } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { open, openStudent } from '../../src/index.js'
import { modelOf, rows } from '../models.js'

const fill = (count: number, value: number): Tensor => tensor('float32', [count], new Float32Array(count).fill(value))

/** Two normalizations; `share` gives the names of scale and variance of the second. */
function normalized(
  share: (b: Parameters<Parameters<typeof modelOf>[0]>[0]) => [scale: string, variance: string],
): Model {
  return modelOf((b) => {
    const x = b.input('input', 'float32', ['N', 4])
    const ones = b.initializer('first.scale', fill(4, 1))
    const zeros = b.initializer('first.shift', fill(4, 0))
    const mean = b.initializer('first.mean', fill(4, 0.5))
    const [scale, variance] = share(b)
    const h = b.op('BatchNormalization', [x, ones, zeros, mean, variance])
    b.output(b.op('BatchNormalization', [h, scale, zeros, mean, variance], {}, { outputs: ['y'] }), 'float32', ['N', 4])
  })
}

describe('a file that holds equal vectors once', () => {
  const cases: [string, Model][] = [
    [
      'by Identity',
      normalized((b) => [b.op('Identity', ['first.scale'], {}, { outputs: ['second.scale'] }), 'first.scale']),
    ],
    ['by name', normalized(() => ['first.scale', 'first.scale'])],
  ]
  for (const [how, model] of cases)
    it(`is trained with a vector for each layer (${how}) and computes the same`, async () => {
      const student = await openStudent(model)
      expect(student.notes.join()).toMatch(/separate now/)
      // Scale and shift of two layers are trained; means and variances of two layers are measured.
      expect(Object.keys(student.differentiable.parameters).length).toBe(4)
      expect(Object.keys(student.parameters).length).toBe(8)
      const input = tensor('float32', [5, 4], rows(5))
      const sessions = await Promise.all([open(model), open(student.save(student.parameters))])
      const [before, after] = await Promise.all(sessions.map((session) => session.run({ input })))
      expect(after!.y!.data).toEqual(before!.y!.data)
      const { updates } = await student.differentiable.forward(student.parameters, { input })
      expect(Object.keys(updates).length).toBe(4)
      for (const session of sessions) await session.dispose()
      await student.dispose()
    })

  it('leaves a matrix that layers share', async () => {
    const shared = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
    const model = modelOf((b) => {
      const x = b.input('input', 'float32', ['N', 4])
      const w = b.initializer('w', tensor('float32', [4, 4], shared))
      b.output(b.op('MatMul', [b.op('MatMul', [x, w]), b.op('Identity', [w])]), 'float32', ['N', 4])
    })
    const student = await openStudent(model)
    expect(Object.keys(student.parameters)).toEqual(['w'])
    const saved = student.save(student.parameters)
    expect([...saved.graph.initializers.keys()]).toEqual(['w'])
    expect(tensorOf(saved.graph.initializers.get('w')!).data).toEqual(shared)
    await student.dispose()
  })
})
