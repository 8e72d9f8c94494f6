import { clone, StateError, type TensorMap, tensorMap } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import type { Optimizer } from '../src/index.js'
import { float32Map, golden, optimizers, progress } from './cases.js'

/** float32 steps against float64 steps: a few ulp of numbers near 1, for six steps. */
const tolerance = 2e-6

describe.each(Object.keys(optimizers))('%s', (name) => {
  const make = optimizers[name]!

  test('follows PyTorch (hinton2012: the formulas of the paper in float64)', () => {
    const optimizer = make()
    const parameters = float32Map(golden.start)
    const want = golden.cases[name]!
    for (const [i, gradients] of golden.gradients.entries()) {
      const { rate, gradientNorm } = optimizer.step(parameters, float32Map(gradients), progress(i))
      if (want.rates) expect(rate).toBeCloseTo(want.rates[i]!, 12)
      if (want.norms?.length) expect(gradientNorm).toBeCloseTo(want.norms[i]!, 5)
    }
    for (const [parameter, values] of Object.entries(want.parameters))
      for (const [i, value] of values.entries())
        expect(Math.abs((parameters[parameter]!.data[i] as number) - value), `${parameter}[${i}]`).toBeLessThanOrEqual(
          tolerance,
        )
  })

  test('comes down a quadratic', () => {
    const optimizer = make()
    const parameters = float32Map(golden.start)
    const before = halfSquare(parameters)
    for (let i = 0; i < 400; i++) optimizer.step(parameters, copies(parameters), { ...progress(i), epochs: 200 })
    // The rates differ by more than ten; hinton2012's dies out by 0.9 an epoch.
    expect(halfSquare(parameters)).toBeLessThan(0.1 * before)
  })

  test('saved in the middle and restored, goes on bit for bit', () => {
    const through = make()
    const parameters = float32Map(golden.start)
    run(through, parameters, 0, 6)

    const first = make()
    const again = float32Map(golden.start)
    run(first, again, 0, 3)
    const { name: kept, step, slots } = first.state()
    const saved = { name: kept, step, slots: copies(slots) }
    const weights = copies(again)
    run(first, again, 3, 6)
    const second = make()
    second.restore(saved)
    run(second, weights, 3, 6)

    expect(bits(weights)).toEqual(bits(parameters))
    expect(bits(again)).toEqual(bits(parameters))
    expect(bits(second.state().slots)).toEqual(bits(through.state().slots))
    expect(second.state().step).toBe(6)
    expect(Object.keys(through.state().slots).length).toBeGreaterThan(0)
  })

  test('the state that was restored is not written into', () => {
    const first = make()
    const parameters = float32Map(golden.start)
    run(first, parameters, 0, 2)
    const saved = { ...first.state(), slots: copies(first.state().slots) }
    const before = bits(saved.slots)
    const second = make()
    second.restore(saved)
    run(second, parameters, 2, 4)
    expect(bits(saved.slots)).toEqual(before)
    expect(bits(second.state().slots)).not.toEqual(before)
  })

  test('only parameters that have a gradient move', () => {
    const optimizer = make()
    const parameters = tensorMap([...Object.entries(float32Map(golden.start))])
    parameters.frozen = clone(parameters.b1!)
    const before = Array.from(parameters.frozen.data as Float32Array)
    run(optimizer, parameters, 0, 2)
    expect(Array.from(parameters.frozen.data as Float32Array)).toEqual(before)
    expect(Object.keys(optimizer.state().slots).some((slot) => slot.endsWith('/frozen'))).toBe(false)
    expect(Array.from(parameters.b1!.data as Float32Array)).not.toEqual(before)
  })

  test('a state of another model or optimizer is refused', () => {
    const optimizer = make()
    const parameters = float32Map(golden.start)
    run(optimizer, parameters, 0, 1)
    const state = optimizer.state()
    const slots = Object.keys(state.slots)
    const lacking = tensorMap(Object.entries(state.slots).filter(([slot]) => slot !== slots[0]))
    const wrong = tensorMap(Object.entries(state.slots))
    wrong[slots[0]!] = { type: 'float32', dims: [1], data: new Float32Array(1) }
    const extra = tensorMap(Object.entries(state.slots))
    extra[slots[0]!.replace(/\/.*/, '/w9')] = clone(state.slots[slots[0]!]!)
    for (const bad of [lacking, wrong, extra]) {
      const other = make()
      const step = () => {
        other.restore({ ...state, slots: bad })
        run(other, parameters, 1, 2)
      }
      expect(step).toThrow(StateError)
    }
    expect(() => make().restore({ ...state, name: 'rmsprop' })).toThrow(/rmsprop/)
    expect(() => make().restore({ ...state, step: -1 })).toThrow(StateError)
    const stray = tensorMap([['momentum_buffer/w1', clone(state.slots[slots[0]!]!)]])
    expect(() => make().restore({ ...state, slots: stray })).toThrow(/momentum_buffer\/w1/)
  })

  test('the set of trained parameters is fixed by the first step', () => {
    const optimizer = make()
    const parameters = float32Map(golden.start)
    run(optimizer, parameters, 0, 1)
    const { b1, ...fewer } = float32Map(golden.gradients[1]!)
    expect(b1).toBeDefined()
    expect(() => optimizer.step(parameters, fewer, progress(1))).toThrow(/b1/)
  })

  test('gradients that do not fit are refused before anything moves', () => {
    const optimizer = make()
    const parameters = float32Map(golden.start)
    const before = bits(parameters)
    const gradients = float32Map(golden.gradients[0]!)
    const flat = { ...gradients, w1: { type: 'float32', dims: [20], data: gradients.w1!.data } as const }
    expect(() => optimizer.step(parameters, flat, progress(0))).toThrow(/gradients\.w1/)
    expect(() => optimizer.step(parameters, { ...gradients, w7: gradients.w1! }, progress(0))).toThrow(/w7/)
    expect(bits(parameters)).toEqual(before)
  })
})

function run(optimizer: Optimizer, parameters: TensorMap, from: number, to: number): void {
  for (let i = from; i < to; i++) optimizer.step(parameters, float32Map(golden.gradients[i]!), progress(i))
}

/** The gradient of ½·Σ w² is w. */
function copies(map: TensorMap): TensorMap {
  return tensorMap(Object.entries(map).map(([name, value]) => [name, clone(value)]))
}

function halfSquare(parameters: TensorMap): number {
  let sum = 0
  for (const name in parameters) for (const x of parameters[name]!.data as Float32Array) sum += x * x
  return sum / 2
}

function bits(map: TensorMap): { [name: string]: number[] } {
  const all: { [name: string]: number[] } = {}
  for (const name in map) {
    const { buffer, byteOffset, length } = map[name]!.data as Float32Array
    all[name] = Array.from(new Uint32Array(buffer, byteOffset, length))
  }
  return all
}
