import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rng, tensor, tensorMap } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { open, predictor, providers, runtimeReport } from '../src/index.js'
import { bytesOf, linear, modelOf, rows, scores } from './models.js'

const model = modelOf((b) => b.output(linear(b), 'float32', ['N', 3]))
const input = tensor('float32', [2, 4], rows(2))

describe('open', () => {
  it('reads names, types and dims, and runs, from a model, its bytes or its file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'imago-'))
    const path = join(folder, 'model.onnx')
    await writeFile(path, bytesOf(model))
    for (const source of [model, bytesOf(model), path]) {
      const session = await open(source, { threads: 1 })
      expect(session.inputs).toEqual([{ name: 'input', type: 'float32', dims: ['N', 4] }])
      expect(session.outputs).toEqual([{ name: 'z', type: 'float32', dims: ['N', 3] }])
      expect(session.provider).toBe('cpu')
      const { z } = await session.run({ input })
      for (const [i, value] of scores(rows(2)).flat().entries())
        expect(Math.abs((z!.data as Float32Array)[i]! - value)).toBeLessThan(1e-5)
      await session.dispose()
    }
    await rm(folder, { recursive: true })
  })

  it('disposes once, after what runs, and refuses afterwards', async () => {
    const session = await open(model)
    const running = session.run({ input })
    await Promise.all([session.dispose(), session.dispose()])
    expect((await running).z!.dims).toEqual([2, 3])
    await session.dispose()
    await expect(session.run({ input })).rejects.toMatchObject({ code: 'ERR_STATE' })
  })

  it('names the feed that is missing or does not fit', async () => {
    const session = await open(model)
    await expect(session.run({ x: input })).rejects.toMatchObject({ code: 'ERR_ARGUMENT', message: /input/ })
    const narrow = tensor('float32', [2, 3], new Float32Array(6))
    await expect(session.run({ input: narrow })).rejects.toMatchObject({ code: 'ERR_SHAPE', message: /"input"/ })
    const doubles = tensor('float64', [2, 4], new Float64Array(8))
    await expect(session.run({ input: doubles })).rejects.toMatchObject({ code: 'ERR_SHAPE', message: /float32/ })
    await expect(session.run({ input }, ['nothing'])).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' })
    await session.dispose()
  })

  it('sees a fed array that changed in place', async () => {
    const session = await open(model)
    const x = tensor('float32', [1, 4], new Float32Array(4))
    await session.run({ input: x })
    x.data.set(rows(1))
    const { z } = await session.run({ input: x })
    for (const [i, value] of scores(rows(1)).flat().entries())
      expect(Math.abs((z!.data as Float32Array)[i]! - value)).toBeLessThan(1e-5)
    await session.dispose()
  })

  it('says what is wrong with a damaged model, whatever byte is damaged', async () => {
    await expect(open(new Uint8Array())).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await expect(open(bytesOf(model).subarray(0, 100))).rejects.toMatchObject({ code: /^ERR_/ })
    await expect(open('/nowhere/model.onnx')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', message: /nowhere/ })
    await expect(open({} as never)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    const random = rng(7)
    for (let i = 0; i < 150; i++) {
      const bytes = bytesOf(model).slice()
      bytes[random.integer(bytes.length)] = random.integer(256)
      try {
        const session = await open(bytes, { threads: 1 })
        await session.dispose()
      } catch (error) {
        expect(error).toMatchObject({ code: /^ERR_/ })
      }
    }
  })

  it('refuses an op that ONNX Runtime does not know', async () => {
    const odd = modelOf((b) => b.output(b.op('Frobnicate', [linear(b)]), 'float32', ['N', 3]))
    await expect(open(odd)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED', message: /Frobnicate/ })
  })

  it('wraps what fails in a run, with its cause', async () => {
    const broken = modelOf((b) => {
      const shape = b.ints([7, 7])
      b.output(b.op('Reshape', [linear(b), shape]), 'float32', [7, 7])
    })
    const session = await open(broken)
    const failure = await session.run({ input }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'ERR_RUNTIME' })
    expect((failure as Error).cause).toBeInstanceOf(Error)
    expect((failure as Error).message).not.toMatch(/onnxruntime_src/)
    await session.dispose()
  })
})

describe('providers', () => {
  it('reports every provider, and cpu works', async () => {
    const found = await providers()
    expect(found.find((one) => one.name === 'cpu')).toEqual({ name: 'cpu', available: true })
    for (const one of found) if (!one.available) expect(one.reason).toMatch(/\S/)
  })

  it('is part of the report on ONNX Runtime', async () => {
    const report = await runtimeReport()
    expect(report.version).toMatch(/^1\.\d+\.\d+/)
    expect(report.providers).toContainEqual({ name: 'cpu', available: true })
  })

  it('never replaces the provider that was asked for, and says what a list came to', async () => {
    await expect(open(model, { provider: 'abacus' })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
      message: /abacus/,
    })
    const session = await open(model, { provider: ['abacus', 'cpu'] })
    expect(session.provider).toBe('cpu')
    expect(session.notes.join()).toMatch(/abacus does not work here/)
    await session.dispose()
    const predict = await predictor(model, { provider: ['abacus', 'cpu'] })
    expect(predict.notes.join()).toMatch(/abacus/)
    expect((await predict(tensorMap([['input', input]]))).logits!.dims).toEqual([2, 3])
    await predict.dispose()
  })
})
