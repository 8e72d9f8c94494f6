import { training, type VjpProgram, vjp } from '@imago/autodiff'
import { dropoutMask } from '@imago/kernels'
import { liftWeights, mlp } from '@imago/onnx'
import { rng, type TensorMap, tensor } from '@imago/tensor'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Differentiable, openDifferentiable } from '../src/index.js'
import { expectNear } from './golden.js'

const sizes = [5, 7, 3] as const
const model = mlp(sizes, { rng: rng(1) })
const names = [...model.graph.initializers.keys()]

function setUp(probability: number): { program: VjpProgram; parameters: TensorMap; inference: VjpProgram['forward'] } {
  const { graph } = mlp(sizes, { rng: rng(1), dropout: { hidden: probability } })
  const form = training(graph)
  const { parameters, graph: inference } = liftWeights(graph, names)
  return { program: vjp(form.graph, { ...form, wrt: names }), parameters, inference }
}

const batch = (count: number) => ({
  input: tensor(
    'float32',
    [count, 5],
    Float32Array.from({ length: 5 * count }, (_, i) => Math.cos(i)),
  ),
})
const cotangent = (count: number) => ({
  logits: tensor(
    'float32',
    [count, 3],
    Float32Array.from({ length: 3 * count }, (_, i) => Math.sin(3 * i) / count),
  ),
})

/** The net and its gradients in float64 plain loops; `mask` multiplies the hidden layer. */
function reference(parameters: TensorMap, x: ArrayLike<number>, dZ: ArrayLike<number>, mask?: ArrayLike<number>) {
  const [w1, b1, w2, b2] = names.map((name) => parameters[name]!.data as Float32Array)
  const count = x.length / 5
  const gradients = names.map((name) => new Float64Array(parameters[name]!.data.length))
  const [g1, c1, g2, c2] = gradients as [Float64Array, Float64Array, Float64Array, Float64Array]
  const logits: number[] = []
  for (let n = 0; n < count; n++) {
    const z: number[] = []
    const m = (j: number): number => mask?.[7 * n + j] ?? 1
    for (let j = 0; j < 7; j++) {
      z[j] = b1![j]!
      for (let i = 0; i < 5; i++) z[j]! += x[5 * n + i]! * w1![5 * j + i]!
    }
    const h = z.map((value, j) => Math.max(0, value) * m(j))
    for (let c = 0; c < 3; c++) {
      let sum = b2![c]!
      for (let j = 0; j < 7; j++) sum += h[j]! * w2![7 * c + j]!
      logits.push(sum)
      c2[c]! += dZ[3 * n + c]!
      for (let j = 0; j < 7; j++) g2[7 * c + j]! += dZ[3 * n + c]! * h[j]!
    }
    for (let j = 0; j < 7; j++) {
      let d = 0
      for (let c = 0; c < 3; c++) d += dZ[3 * n + c]! * w2![7 * c + j]!
      d *= z[j]! > 0 ? m(j) : 0
      c1[j]! += d
      for (let i = 0; i < 5; i++) g1[5 * j + i]! += d * x[5 * n + i]!
    }
  }
  return { logits, gradients }
}

async function step(student: Differentiable, parameters: TensorMap, count: number, seed?: number) {
  const random = seed === undefined ? undefined : rng(seed)
  const { outputs, pullback } = await student.forward(parameters, batch(count), random ? { rng: random } : {})
  const logits = [...(outputs.logits!.data as Float32Array)]
  return {
    logits: { ...outputs.logits!, data: Float32Array.from(logits) },
    gradients: await pullback(cotangent(count)),
  }
}

describe('openDifferentiable', () => {
  const { program, parameters } = setUp(0)
  let student: Differentiable
  beforeAll(async () => {
    student = await openDifferentiable(program, { threads: 1 })
    return () => student.dispose()
  })

  it('lists its parameters', () => {
    expect(student.parameters).toEqual({ 'fc1.weight': [7, 5], 'fc1.bias': [7], 'fc2.weight': [3, 7], 'fc2.bias': [3] })
  })

  it('gives the gradients of plain loops for any order of batch sizes', async () => {
    for (const count of [4, 4, 3, 4, 1, 2, 3, 9, 4]) {
      const { logits, gradients } = await step(student, parameters, count)
      const wanted = reference(parameters, batch(count).input.data, cotangent(count).logits.data)
      expectNear(logits, wanted.logits, 1e-6)
      for (const [i, name] of names.entries()) expectNear(gradients[name]!, [...wanted.gradients[i]!], 1e-6)
    }
  })

  it('sees parameters that change in place', async () => {
    const weight = parameters['fc1.weight']!.data as Float32Array
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < weight.length; j++) weight[j] = weight[j]! * -1.25
      const { logits, gradients } = await step(student, parameters, 4)
      const wanted = reference(parameters, batch(4).input.data, cotangent(4).logits.data)
      expectNear(logits, wanted.logits, 1e-6)
      expectNear(gradients['fc2.weight']!, [...wanted.gradients[2]!], 1e-6)
    }
  })

  it('writes gradients into the same memory at each step of a batch size', async () => {
    const first = (await step(student, parameters, 4)).gradients
    const again = (await step(student, parameters, 4)).gradients
    for (const name of names) expect(again[name]!.data).toBe(first[name]!.data)
  })

  it('runs a pullback once, and before the next forward', async () => {
    const a = await student.forward(parameters, batch(2))
    await a.pullback(cotangent(2))
    await expect(a.pullback(cotangent(2))).rejects.toMatchObject({ code: 'ERR_STATE', message: /ran before/ })
    const b = await student.forward(parameters, batch(2))
    await student.forward(parameters, batch(3))
    await expect(b.pullback(cotangent(2))).rejects.toMatchObject({ code: 'ERR_STATE', message: /overwritten/ })
    const c = await student.forward(parameters, batch(2), { train: false })
    await expect(c.pullback(cotangent(2))).rejects.toMatchObject({ code: 'ERR_STATE' })
  })

  it('names cotangents, parameters and inputs that are missing or do not fit', async () => {
    const { pullback } = await student.forward(parameters, batch(2))
    await expect(pullback({})).rejects.toMatchObject({ code: 'ERR_ARGUMENT', message: /logits/ })
    const other = await student.forward(parameters, batch(2))
    await expect(other.pullback(cotangent(3))).rejects.toMatchObject({ code: 'ERR_SHAPE', message: /logits/ })
    const { 'fc1.bias': _, ...rest } = parameters
    await expect(student.forward(rest, batch(2))).rejects.toMatchObject({ message: /fc1\.bias/ })
    await expect(student.forward(parameters, {})).rejects.toMatchObject({ message: /input/ })
    const narrow = { input: tensor('float32', [2, 4], new Float32Array(8)) }
    await expect(student.forward(parameters, narrow)).rejects.toMatchObject({ code: 'ERR_SHAPE', message: /input/ })
  })

  it('lets NaN through to where it is looked for', async () => {
    const { input } = batch(2)
    const data = Float32Array.from(input.data)
    data[0] = Number.NaN
    const { outputs } = await student.forward(parameters, { input: { ...input, data } })
    expect((outputs.logits!.data as Float32Array)[0]).toBeNaN()
    expect((outputs.logits!.data as Float32Array)[3]).not.toBeNaN()
  })

  it('is disposed once and refuses afterwards', async () => {
    const one = await openDifferentiable(program)
    await Promise.all([one.dispose(), one.dispose()])
    await expect(one.forward(parameters, batch(2))).rejects.toMatchObject({ code: 'ERR_STATE' })
  })
})

describe('dropout', () => {
  const { program, parameters, inference } = setUp(0.5)

  it('multiplies with masks of the generator, in forward and backward', async () => {
    const student = await openDifferentiable(program, { inference })
    for (const [count, seed] of [
      [4, 1],
      [6, 2],
      [4, 3],
      [4, 1],
    ] as const) {
      const mask = dropoutMask({ dims: [count, 7], probability: 0.5, rng: rng(seed) })
      expect(new Set(mask.data)).toEqual(new Set([0, 2]))
      const { logits, gradients } = await step(student, parameters, count, seed)
      const wanted = reference(parameters, batch(count).input.data, cotangent(count).logits.data, mask.data)
      expectNear(logits, wanted.logits, 1e-6)
      for (const [i, name] of names.entries()) expectNear(gradients[name]!, [...wanted.gradients[i]!], 1e-6)
    }
    const { outputs } = await student.forward(parameters, batch(4), { train: false })
    expectNear(outputs.logits!, reference(parameters, batch(4).input.data, cotangent(4).logits.data).logits, 1e-6)
    await expect(student.forward(parameters, batch(4))).rejects.toMatchObject({ code: 'ERR_ARGUMENT', message: /rng/ })
    await student.dispose()
  })

  it('needs the inference graph for inference', async () => {
    const student = await openDifferentiable(program)
    await expect(student.forward(parameters, batch(2), { train: false })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED',
    })
    await student.dispose()
  })
})

it('keeps memory flat over 2,000 steps', async () => {
  const wide = mlp([64, 256, 10], { rng: rng(1), dropout: { hidden: 0.5 } })
  const all = [...wide.graph.initializers.keys()].filter((name) => name.startsWith('fc'))
  const form = training(wide.graph)
  const { parameters } = liftWeights(wide.graph, all)
  const student = await openDifferentiable(vjp(form.graph, { ...form, wrt: all }), { threads: 1 })
  const random = rng(5)
  const dZ = new Map([128, 32].map((count) => [count, tensor('float32', [count, 10], new Float32Array(10 * count))]))
  const run = async (steps: number): Promise<number> => {
    for (let i = 0; i < steps; i++) {
      const count = i % 10 === 9 ? 32 : 128
      const input = tensor('float32', [count, 64], new Float32Array(64 * count))
      const { pullback } = await student.forward(parameters, { input }, { rng: random })
      await pullback({ logits: dZ.get(count)! })
    }
    return process.memoryUsage().rss
  }
  const before = await run(500)
  // One leaked activation a step would be 128 kB · 2,000 = 260 MB.
  expect((await run(2000)) - before).toBeLessThan(64e6)
  await student.dispose()
})
