import { typeCode } from '@imago/onnx'
import { ImagoError, ShapeError, StateError, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { open, predictor } from '../src/index.js'
import { bias, linear, modelOf, rows, scores, weights } from './models.js'

const plain = modelOf((b) => b.output(linear(b), 'float32', ['N', 3]))
const data = (count: number) => ({ input: tensor('float32', [count, 4], rows(count)) })

function expectRows(got: ArrayLike<number>, wanted: number[][]): void {
  expect(got.length).toBe(wanted.flat().length)
  for (const [i, value] of wanted.flat().entries()) expect(Math.abs(got[i]! - value)).toBeLessThan(1e-5)
}

describe('predictor', () => {
  it('gives the same rows whatever the batch size', async () => {
    const predict = await predictor(plain, { batchSize: 3 })
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 10 }), async (count) => {
        const { logits } = await predict(data(count))
        expect(logits!.dims).toEqual([count, 3])
        expectRows(logits!.data as Float32Array, scores(rows(count)))
      }),
      { numRuns: 10 },
    )
    await predict.dispose()
  })

  it('fills a fixed batch and drops what it filled', async () => {
    for (const batch of [1, 2, 4]) {
      const fixed = modelOf((b) => b.output(linear(b, [batch, 4]), 'float32', [batch, 3]))
      const predict = await predictor(fixed)
      for (const count of [1, 3, 5])
        expectRows((await predict(data(count))).logits!.data as Float32Array, scores(rows(count)))
      await predict.dispose()
    }
  })

  it('shapes flat data for a model of images, and images for a flat model', async () => {
    const images = await predictor(modelOf((b) => b.output(linear(b, ['N', 1, 2, 2]), 'float32', ['N', 3])))
    expectRows((await images(data(2))).logits!.data as Float32Array, scores(rows(2)))
    const flat = await predictor(plain)
    const image = { digits: tensor('float32', [2, 1, 2, 2], rows(2)) }
    expectRows((await flat(image)).logits!.data as Float32Array, scores(rows(2)))
  })

  it('scales by channel and puts channels last', async () => {
    // Two channels of 1×2: data [N, C, H, W] = [c0p0, c0p1, c1p0, c1p1]; the model takes [N, H, W, C].
    const predict = await predictor(
      modelOf((b) => b.output(linear(b, ['N', 1, 2, 2]), 'float32', ['N', 3])),
      { map: { layout: 'NHWC', scale: 2, mean: [1, -1], std: [4, 0.5] } },
    )
    const x = tensor('float32', [1, 2, 1, 2], Float32Array.of(0.5, 1, 2, 3))
    const scaled = [(2 * 0.5 - 1) / 4, (2 * 2 + 1) / 0.5, (2 * 1 - 1) / 4, (2 * 3 + 1) / 0.5]
    expectRows((await predict({ input: x })).logits!.data as Float32Array, scores(scaled))
  })

  it('converts whole numbers to the type of the model', async () => {
    const bytes = { input: tensor('uint8', [1, 4], Uint8Array.of(0, 51, 102, 255)) }
    const predict = await predictor(plain, { map: { scale: 1 / 255 } })
    expectRows((await predict(bytes)).logits!.data as Float32Array, scores([0, 0.2, 0.4, 1]))
  })

  it('speaks half and double precision to models that do', async () => {
    for (const type of ['float16', 'float64'] as const) {
      const model = modelOf((b) => {
        const x = b.input('input', type, ['N', 4])
        const w = b.initializer('w', tensor('float32', [3, 4], weights))
        const c = b.initializer('b', tensor('float32', [3], bias))
        const z = b.op('Gemm', [b.op('Cast', [x], { to: typeCode('float32') }), w, c], { transB: 1 })
        b.output(b.op('Cast', [z], { to: typeCode(type) }), type, ['N', 3])
      })
      const predict = await predictor(model, { batchSize: 2 })
      const { logits } = await predict(data(3))
      expect(logits!.type).toBe('float32')
      const wanted = scores(rows(3)).flat()
      // Half precision has 11 bits; inputs and outputs are below 8.
      for (const [i, value] of wanted.entries())
        expect(Math.abs((logits!.data as Float32Array)[i]! - value)).toBeLessThan(type === 'float16' ? 0.02 : 1e-5)
      await predict.dispose()
    }
  })

  it('names input, expected and got where rows do not fit, and runs nothing', async () => {
    const predict = await predictor(plain)
    const wrong = { input: tensor('float32', [2, 5], new Float32Array(10)) }
    await expect(predict(wrong)).rejects.toThrow(/"input" must be rows of \[4\], got rows of \[5\]/)
    await expect(predict(wrong)).rejects.toThrow(ShapeError)
    await expect(predict({})).rejects.toThrow(ImagoError)
    await expect(predictor(plain, { example: wrong })).rejects.toThrow(ShapeError)
    await expect(predictor(plain, { map: { name: 'pixels' } })).rejects.toThrow(/no input "pixels"/)
    await expect(predictor(plain, { map: { layuot: 'NHWC' } as never })).rejects.toThrow(/"layuot"/)
    await expect(predictor(plain, { map: { layout: 'HWC' as never } })).rejects.toThrow(/flat, NCHW, NHWC/)
    await expect(predictor(plain, { map: { std: 0 } })).rejects.toThrow(/other than 0/)
  })

  it('stops between batches with the reason of the signal', async () => {
    const predict = await predictor(plain, { batchSize: 1 })
    const controller = new AbortController()
    const reason = new Error('enough')
    const running = predict(data(10_000), controller.signal)
    setTimeout(() => controller.abort(reason), 5)
    await expect(running).rejects.toBe(reason)
    await expect(predict(data(1), AbortSignal.abort(reason))).rejects.toBe(reason)
    expectRows((await predict(data(1))).logits!.data as Float32Array, scores(rows(1)))
  })

  it('refuses NaN with the row', async () => {
    const predict = await predictor(plain, { batchSize: 2 })
    const x = rows(5)
    x[4 * 3] = Number.NaN
    await expect(predict({ input: tensor('float32', [5, 4], x) })).rejects.toThrow(/NaN in row 3/)
  })

  it('gives hidden values beside the logits', async () => {
    const predict = await predictor(
      modelOf((b) => {
        const z = linear(b)
        b.output(b.op('Softmax', [b.op('Relu', [z], {}, { outputs: ['hidden'] })]), 'float32', ['N', 3])
      }),
      { also: ['hidden'], batchSize: 2 },
    )
    const { hidden, logits } = await predict(data(3))
    expect(hidden!.dims).toEqual([3, 3])
    expect(hidden!.data).toEqual(logits!.data)
    expect(Math.min(...(hidden!.data as Float32Array))).toBe(0)
  })

  it('runs an open session as it is, and leaves it open', async () => {
    const session = await open(plain)
    const predict = await predictor(session)
    expectRows((await predict(data(2))).logits!.data as Float32Array, scores(rows(2)))
    await predict.dispose()
    await expect(predict(data(1))).rejects.toThrow(StateError)
    expect((await session.run(data(1))).z!.dims).toEqual([1, 3])
    await session.dispose()
  })

  it('serves calls with rows of different shapes at once', async () => {
    const predict = await predictor(plain, { batchSize: 2 })
    const image = (count: number) => ({ input: tensor('float32', [count, 1, 2, 2], rows(count)) })
    const results = await Promise.all([data(7), image(7), data(5), image(1)].map((inputs) => predict(inputs)))
    for (const [i, count] of [7, 7, 5, 1].entries())
      expectRows(results[i]!.logits!.data as Float32Array, scores(rows(count)))
    const bytes = {
      input: tensor(
        'uint8',
        [6, 4],
        Uint8Array.from({ length: 24 }, (_, i) => i),
      ),
    }
    const [floats, whole] = await Promise.all([predict(data(9)), predict(bytes)])
    expectRows(floats!.logits!.data as Float32Array, scores(rows(9)))
    expectRows(whole!.logits!.data as Float32Array, scores([...bytes.input.data]))
  })

  it('refuses nodes in a circle and batches of no rows', async () => {
    const circle = modelOf((b) => {
      b.input('input', 'float32', ['N', 4])
      b.op('Identity', ['b'], {}, { outputs: ['a'] })
      b.op('Identity', ['a'], {}, { outputs: ['b'] })
      b.output('b', 'float32', ['N', 4])
    })
    await expect(predictor(circle)).rejects.toThrow(/in a circle/)
    const none = modelOf((b) => b.output(linear(b, [0, 4]), 'float32', [0, 3]))
    await expect(predictor(none)).rejects.toThrow(/batches of 0 rows/)
  })

  it('serves several calls at once', async () => {
    const predict = await predictor(plain, { batchSize: 2 })
    const results = await Promise.all([5, 2, 7, 1].map((count) => predict(data(count))))
    for (const [i, count] of [5, 2, 7, 1].entries())
      expectRows(results[i]!.logits!.data as Float32Array, scores(rows(count)))
  })
})
