import { type Model, tensorOf } from '@imago/onnx'
import { clone, rng, tensor, tensorMap } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { open, openStudent } from '../src/index.js'
import { expectNear, golden, goldenPath, stored } from './golden.js'
import { bias, linear, modelOf, rows, scores, weights } from './models.js'

// Float32 against PyTorch's float64; measured 1e-7 … 3e-6 (the largest behind a batch normalization of three rows).
const TOLERANCE = 1e-5

describe('a student that PyTorch exported', () => {
  for (const name of ['mlp', 'lenet', 'batchnorm'])
    it(`${name}: logits, gradients and statistics are those of PyTorch, for two batch sizes in turn`, async () => {
      const student = await openStudent(goldenPath(`${name}.onnx`), { threads: 1 })
      const predict = student.predict(student.parameters)
      for (const one of [...golden(name), ...golden(name)]) {
        const inputs = { input: stored(one.inputs) }
        expectNear((await predict(inputs)).logits!, one.inference, TOLERANCE)
        const { outputs, updates, pullback } = await student.differentiable.forward(student.parameters, inputs)
        expectNear(outputs.logits!, one.outputs, TOLERANCE)
        const gradients = await pullback({ logits: stored(one.cotangent) })
        expect(Object.keys(gradients).sort()).toEqual(Object.keys(one.gradients).sort())
        for (const [parameter, wanted] of Object.entries(one.gradients))
          expectNear(gradients[parameter]!, wanted, TOLERANCE)
        expect(Object.keys(updates).sort()).toEqual(Object.keys(one.statistics).sort())
        for (const [parameter, wanted] of Object.entries(one.statistics))
          expectNear(updates[parameter]!, wanted, TOLERANCE)
      }
      await student.dispose()
    })

  it('keeps its softmax in its file, with new weights and nothing else new', async () => {
    const student = await openStudent(goldenPath('lenet.onnx'))
    expect(student.notes.join()).toMatch(/ends in Softmax/)
    const trained = tensorMap(Object.entries(student.parameters).map(([name, value]) => [name, clone(value)]))
    const random = rng(3)
    for (const name in trained) {
      const data = trained[name]!.data as Float32Array
      for (let i = 0; i < data.length; i++) data[i] = data[i]! + 0.1 * random.normal()
    }
    const saved = student.save(trained)
    for (const [name, value] of Object.entries(trained))
      expect([...(tensorOf(saved.graph.initializers.get(name)!).data as Float32Array)]).toEqual([
        ...(value.data as Float32Array),
      ])
    expect(saved.graph.nodes.map((node) => node.op)).toContain('Softmax')

    const [one] = golden('lenet')
    const input = stored(one!.inputs)
    const { logits } = await student.predict(trained)({ input })
    const session = await open(saved)
    const { out } = await session.run({ image: input })
    for (let r = 0; r < 6; r++) {
      const z = [...(logits!.data as Float32Array).subarray(4 * r, 4 * r + 4)].map(Math.exp)
      const sum = z.reduce((a, b) => a + b)
      for (let c = 0; c < 4; c++) expect((out!.data as Float32Array)[4 * r + c]).toBeCloseTo(z[c]! / sum, 5)
    }
    await session.dispose()
    await student.dispose()
  })

  it('does not change the model that it was given', async () => {
    const student = await openStudent(goldenPath('mlp.onnx'))
    const before = student.save(student.parameters)
    ;(student.parameters['0.weight']!.data as Float32Array).fill(7)
    expect(tensorOf(before.graph.initializers.get('0.weight')!).data).not.toContain(7)
    expect(tensorOf(student.save(student.parameters).graph.initializers.get('0.weight')!).data).toContain(7)
    await student.dispose()
  })

  it('trains what is not frozen', async () => {
    const freezes = [['0.weight', '0.bias'], /^0\./, (name: string) => name.startsWith('0.')] as const
    for (const freeze of freezes) {
      const student = await openStudent(goldenPath('mlp.onnx'), { freeze })
      const [one] = golden('mlp')
      const { pullback } = await student.differentiable.forward(student.parameters, { input: stored(one!.inputs) })
      const gradients = await pullback({ logits: stored(one!.cotangent) })
      expect(Object.keys(gradients).sort()).toEqual(['2.bias', '2.weight', '4.bias', '4.weight'])
      expectNear(gradients['2.weight']!, one!.gradients['2.weight']!, TOLERANCE)
      await student.dispose()
    }
    await expect(openStudent(goldenPath('mlp.onnx'), { freeze: ['9.weight'] })).rejects.toThrow(/no weight "9.weight"/)
    await expect(openStudent(goldenPath('mlp.onnx'), { freeze: /./ })).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
  })

  it('takes running statistics as they are where batch normalization is frozen', async () => {
    const student = await openStudent(goldenPath('batchnorm.onnx'), { batchNorm: 'frozen' })
    const [one] = golden('batchnorm')
    const { outputs, updates } = await student.differentiable.forward(student.parameters, {
      input: stored(one!.inputs),
    })
    expectNear(outputs.logits!, one!.inference, TOLERANCE)
    expect(Object.keys(updates)).toEqual([])
    await student.dispose()
  })

  it('refuses one row under batch normalization, which has no variance', async () => {
    const student = await openStudent(goldenPath('batchnorm.onnx'))
    const input = tensor('float32', [1, 2, 5, 5], new Float32Array(50))
    await expect(student.differentiable.forward(student.parameters, { input })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
    })
    await student.dispose()
  })

  it('refuses to save what is no number, or no weight', async () => {
    const student = await openStudent(goldenPath('mlp.onnx'))
    const bad = tensorMap([['4.bias', tensor('float32', [3], Float32Array.of(0, Number.NaN, 0))]])
    expect(() => student.save(bad)).toThrow(/NaN in "4.bias" at element 1/)
    expect(() => student.save(tensorMap([['5.bias', bad['4.bias']!]]))).toThrow(/5.bias/)
    await student.dispose()
  })

  it('takes data in another shape and scale through an input map', async () => {
    const student = await openStudent(goldenPath('lenet.onnx'), { map: { from: 'pixels', scale: 0.5, mean: -1 } })
    const [one] = golden('lenet')
    const pixels = tensor(
      'float32',
      [6, 144],
      Float32Array.from(one!.inputs.data, (x) => (x - 1) * 2),
    )
    const { logits } = await student.predict(student.parameters)({ pixels })
    expectNear(logits!, one!.inference, TOLERANCE)
    await student.dispose()
  })
})

describe('a student with one output', () => {
  it('is trained through two logits', async () => {
    const model = modelOf((b) => {
      const x = b.input('input', 'float32', ['N', 4])
      const w = b.initializer('w', tensor('float32', [1, 4], Float32Array.of(0.5, -1, 0.25, 2)))
      b.output(b.op('Sigmoid', [b.op('Gemm', [x, w], { transB: 1 })]), 'float32', ['N', 1])
    })
    const student = await openStudent(model)
    const input = tensor('float32', [2, 4], rows(2))
    const { outputs, pullback } = await student.differentiable.forward(student.parameters, { input })
    const z = [0, 1].map((r) => [0.5, -1, 0.25, 2].reduce((sum, w, i) => sum + w * input.data[4 * r + i]!, 0))
    expect(Object.keys(student.parameters)).toEqual(['w'])
    expectNear(outputs.logits!, [0, z[0]!, 0, z[1]!], 1e-6)
    // dLoss/dz is the second column's cotangent; the first logit is constant.
    const { w } = await pullback({ logits: tensor('float32', [2, 2], Float32Array.of(9, 1, 9, -2)) })
    expect(student.save(student.parameters).graph.nodes.map((node) => node.op)).toEqual(['Gemm', 'Sigmoid'])
    expectNear(
      w!,
      [0, 1, 2, 3].map((i) => input.data[i]! - 2 * input.data[4 + i]!),
      1e-6,
    )
    await student.dispose()
  })
})

describe('a student that was exported for one batch size', () => {
  const fixed = (inner: readonly number[]): Model =>
    modelOf((b) => {
      const x = b.input('input', 'float32', [1, 2, 2])
      const flat = b.op('Reshape', [x, b.ints(inner)])
      const w = b.initializer('w', tensor('float32', [3, 4], weights))
      b.output(b.op('Gemm', [flat, w], { transB: 1 }), 'float32', [1, 3])
    })

  it('takes any number of rows where that follows', async () => {
    const student = await openStudent(fixed([1, 4]))
    expect(student.notes.join()).toMatch(/batches of 1 rows; any number is taken/)
    const input = tensor('float32', [3, 2, 2], rows(3))
    const { outputs, pullback } = await student.differentiable.forward(student.parameters, { input })
    expectNear(
      outputs.logits!,
      scores(rows(3)).flatMap((row) => row.map((z, c) => z - bias[c]!)),
      1e-6,
    )
    const ones = tensor('float32', [3, 3], new Float32Array(9).fill(1))
    const sums = [0, 1, 2, 3].map((i) => input.data[i]! + input.data[4 + i]! + input.data[8 + i]!)
    expectNear((await pullback({ logits: ones })).w!, [...sums, ...sums, ...sums], 1e-6)
    // The file is what it was.
    expect(student.save(student.parameters).graph.inputs[0]!.shape).toEqual([1, 2, 2])
    await student.dispose()
  })

  it('says so where it does not', async () => {
    const model = modelOf((b) => {
      const x = b.input('input', 'float32', [2, 2])
      const w = b.initializer('w', tensor('float32', [4, 3], weights))
      b.output(b.op('MatMul', [b.op('Reshape', [x, b.ints([1, 4])]), w]), 'float32', [1, 3])
    })
    const student = await openStudent(model)
    expect(student.notes.join()).toMatch(/made for batches of 2 rows; export it/)
    await student.dispose()
  })
})

describe('a student that cannot be trained', () => {
  it('is refused with the node and the reason', async () => {
    const model = modelOf((b) => {
      const odd = b.op('Det', [
        b.op('MatMul', [linear(b), b.initializer('v', tensor('float32', [3, 3], new Float32Array(9)))]),
      ])
      b.output(odd, 'float32', ['N', 3])
    })
    await expect(openStudent(model)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED', message: /Det/ })
  })

  it('refuses a model that draws numbers of its own, by name', async () => {
    const noisy = modelOf((b) => {
      const z = linear(b)
      const noise = b.op('RandomNormalLike', [z], {}, { name: 'sample' })
      b.output(b.op('Add', [z, noise]), 'float32', ['N', 3])
    })
    await expect(openStudent(noisy)).rejects.toThrow(
      /RandomNormalLike node "sample": draws random numbers in the graph/,
    )
  })
})
