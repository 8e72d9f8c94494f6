import { type Builder, builder, mlp } from '@imago/onnx'
import { rng, tensor, tensorMap } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { openLoss, openStudent } from '../src/index.js'

const f32 = (dims: readonly number[], ...data: number[]) => tensor('float32', dims, Float32Array.from(data))

/** Σ w·(a·h − g)² / 2 with a learned a. */
function loss(weights = true) {
  const b = builder()
  const h = b.input('student/h', 'float32', ['N', 2])
  const g = b.input('target/g', 'float32', ['N', 2])
  const a = b.input('parameter/a', 'float32', [2])
  const error = b.op('Sub', [b.op('Mul', [h, a]), g])
  let squares = b.op('Div', [b.op('Mul', [error, error]), b.scalar(2)])
  if (weights) squares = b.op('Mul', [squares, b.op('Unsqueeze', [b.input('weights', 'float32', ['N']), b.ints([1])])])
  b.output(b.op('ReduceSum', [squares], { keepdims: 0 }, { outputs: ['squares'] }), 'float32', [])
  b.output(b.op('ReduceMax', [b.op('Abs', [error])], { keepdims: 0 }, { outputs: ['worst'] }), 'float32', [])
  return { graph: b.graph(), parameters: tensorMap([['a', f32([2], 2, 1)]]) }
}

const h = f32([2, 2], 1, 2, 3, 4)
const g = f32([2, 2], 1, 1, 1, 1)

describe('openLoss', () => {
  it('gives value, parts, cotangents and gradients of closed forms, weights 1 where there are none', async () => {
    const open = await openLoss(loss(), { threads: 1 })
    expect(open.needs).toEqual({ student: ['h'], targets: ['g'] })
    const one = await open.evaluate({ h }, { g })
    // Errors a·h − g: 1, 1, 5, 3.
    expect([one.value, one.parts]).toEqual([18, { worst: 5 }])
    expect([...(one.cotangents.h!.data as Float32Array)]).toEqual([2, 1, 10, 3])
    expect([...(one.gradients!.a!.data as Float32Array)]).toEqual([1 * 1 + 5 * 3, 1 * 2 + 3 * 4])
    const weighed = await open.evaluate({ h }, { g, weights: f32([2], 1, 0) })
    expect(weighed.value).toBe(1)
    expect([...(weighed.cotangents.h!.data as Float32Array)]).toEqual([2, 1, 0, 0])
    await open.dispose()
  })

  it('sees parameters that change in place, and targets in half precision', async () => {
    const made = loss()
    const open = await openLoss(made, { threads: 1 })
    ;(made.parameters.a!.data as Float32Array).set([1, 1])
    // 1 in half precision.
    const half = tensor('float16', [2, 2], Uint16Array.of(0x3c00, 0x3c00, 0x3c00, 0x3c00))
    expect((await open.evaluate({ h }, { g: half })).value).toBe((0 + 1 + 4 + 9) / 2)
    await open.dispose()
  })

  it('names what is missing, and inputs that are nothing it knows', async () => {
    const open = await openLoss(loss(), { threads: 1 })
    await expect(open.evaluate({ z: h }, { g })).rejects.toThrow(/no student "h".*There is: z/)
    await expect(open.evaluate({ h }, {})).rejects.toThrow(/no target "g".*There is: nothing/)
    await open.dispose()
    const build = (inputs: (b: Builder) => string) => {
      const b = builder()
      b.output(b.op('ReduceSum', [inputs(b)], { keepdims: 0 }), 'float32', [])
      return { graph: b.graph(), parameters: {} }
    }
    await expect(openLoss(build((b) => b.input('h', 'float32', ['N'])))).rejects.toThrow(/"h" is neither student/)
    await expect(openLoss(build((b) => b.input('target/g', 'float32', ['N'])))).rejects.toThrow(/no input student/)
    const b = builder()
    b.output(b.op('Neg', [b.input('student/h', 'float32', ['N'])]), 'float32', ['N'])
    await expect(openLoss({ graph: b.graph(), parameters: {} })).rejects.toThrow(/not one number/)
  })
})

describe('openStudent({ also })', () => {
  const model = () => mlp([4, 3, 2], { rng: rng(1) })
  const inputs = { input: f32([2, 4], 1, 2, 3, 4, -1, 0, 1, 0) }

  it('gives hidden tensors, and gradients from them alone: what no loss reads counts as 0', async () => {
    const student = await openStudent(model(), { threads: 1, also: ['act1.output', 'logits'] })
    const { outputs, pullback } = await student.differentiable.forward(student.parameters, inputs)
    expect(Object.keys(outputs).sort()).toEqual(['act1.output', 'logits'])
    const cotangent = f32([2, 3], 1, 2, 3, 4, 5, 6)
    const gradients = await pullback({ 'act1.output': cotangent })
    expect((gradients['fc2.weight']!.data as Float32Array).every((x) => x === 0)).toBe(true)
    const active = (outputs['act1.output']!.data as Float32Array).map((x) => (x > 0 ? 1 : 0))
    const bias = [0, 1, 2].map((j) => active[j]! * (1 + j) + active[3 + j]! * (4 + j))
    expect([...(gradients['fc1.bias']!.data as Float32Array)]).toEqual(bias)
    await student.dispose()
  })

  it('refuses names that there are not, and cotangents of other names', async () => {
    await expect(openStudent(model(), { also: ['fc9'] })).rejects.toThrow(/no value "fc9"/)
    await expect(openStudent(model(), { also: ['input'] })).rejects.toThrow(/no value "input"/)
    const student = await openStudent(model(), { threads: 1, also: ['act1.output'] })
    const { pullback } = await student.differentiable.forward(student.parameters, inputs)
    await expect(pullback({ hidden: f32([2, 3], 1, 2, 3, 4, 5, 6) })).rejects.toThrow(/logits, act1.output/)
    await student.dispose()
  })
})
