import { mixtureOfExperts } from '@imago/onnx'
import { rng, type TensorMap, tensor } from '@imago/tensor'
import { expect, it } from 'vitest'
import { openStudent } from '../src/index.js'

const sizes = { inputs: 5, experts: 3, hidden: 4, classes: 6 }

/** log Σ_e g_e·p_e of a row in float64, expert by expert, unit by unit. */
function reference(parameters: { readonly [name: string]: ArrayLike<number> }, x: readonly number[]): number[] {
  const { inputs, experts, hidden, classes } = sizes
  const at = (name: string, i: number): number => parameters[name]![i]!
  const softmax = (z: readonly number[]): number[] => {
    const powers = z.map((value) => Math.exp(value))
    return powers.map((power) => power / powers.reduce((a, b) => a + b))
  }
  const dot = (name: string, unit: number): number =>
    x.reduce((sum, value, i) => sum + at(`${name}.weight`, unit * inputs + i) * value, at(`${name}.bias`, unit))
  const gate = softmax(Array.from({ length: experts }, (_, e) => dot('gate', e)))
  const p = new Array<number>(classes).fill(0)
  for (let e = 0; e < experts; e++) {
    const units = Array.from({ length: hidden }, (_, j) => Math.max(0, dot('hidden', e * hidden + j)))
    const scores = Array.from({ length: classes }, (_, c) =>
      units.reduce(
        (sum, unit, j) => sum + unit * at('experts.weight', (e * hidden + j) * classes + c),
        at('experts.bias', e * classes + c),
      ),
    )
    softmax(scores).forEach((share, c) => {
      p[c]! += gate[e]! * share
    })
  }
  return p.map(Math.log)
}

it('a mixture of experts is Σ g·p, and its gradients are those of finite differences in float64', async () => {
  const random = rng(5)
  const student = await openStudent(mixtureOfExperts({ ...sizes, rng: random }), { threads: 1 })
  try {
    // Biases that are not 0, so that each has a part in the answer.
    for (const name of Object.keys(student.parameters).filter((one) => one.endsWith('bias'))) {
      const { data } = student.parameters[name]! as { data: Float32Array }
      for (let i = 0; i < data.length; i++) data[i] = random.normal()
    }
    const rows = 4
    const x = Float32Array.from({ length: rows * sizes.inputs }, () => random.normal())
    const weights = Float32Array.from({ length: rows * sizes.classes }, () => random.normal())
    const inputs: TensorMap = { input: tensor('float32', [rows, sizes.inputs], x) }
    const { outputs, pullback } = await student.differentiable.forward(student.parameters, inputs)
    const gradients = await pullback({ logits: tensor('float32', [rows, sizes.classes], weights) })

    const exact = Object.fromEntries(
      Object.entries(student.parameters).map(([name, { data }]) => [name, Float64Array.from(data as Float32Array)]),
    )
    const all = (): number[] =>
      Array.from({ length: rows }, (_, r) =>
        reference(exact, [...x.subarray(r * sizes.inputs, (r + 1) * sizes.inputs)]),
      ).flat()
    for (const [i, value] of all().entries()) expect((outputs.logits!.data as Float32Array)[i]).toBeCloseTo(value, 5)

    const weighed = (): number => all().reduce((sum, value, i) => sum + value * weights[i]!, 0)
    expect(Object.keys(gradients).sort()).toEqual(Object.keys(exact).sort())
    for (const [name, values] of Object.entries(exact))
      for (let i = 0; i < values.length; i++) {
        const value = values[i]!
        values[i] = value + 1e-6
        const above = weighed()
        values[i] = value - 1e-6
        const below = weighed()
        values[i] = value
        expect((gradients[name]!.data as Float32Array)[i], `${name}[${i}]`).toBeCloseTo((above - below) / 2e-6, 4)
      }
  } finally {
    await student.dispose()
  }
})

it('refuses sizes that are none', () => {
  for (const wrong of [{ inputs: 0 }, { experts: 1.5 }, { hidden: -1 }, { classes: Number.NaN }])
    expect(() => mixtureOfExperts({ ...sizes, rng: rng(1), ...wrong })).toThrow(Object.keys(wrong)[0])
  expect(() => mixtureOfExperts({ ...sizes, rng: undefined as never })).toThrow(/rng/)
})
