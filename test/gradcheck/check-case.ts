import { vjp } from '@imago/autodiff'
import { builder, type Dim, evaluateDim, type Graph } from '@imago/onnx'
import { elementCount, isType, type Rng, rng, type Tensor, type TensorMap, tensor } from '@imago/tensor'
import { expect } from 'vitest'
import type { GradcheckCase, Values } from './case.js'
import { runner, runProgram } from './run-graph.js'

/** The graph of a case in the given type. */
export function graphOf(row: GradcheckCase, type: 'float32' | 'float64', build = row.build): Graph {
  const b = builder()
  for (const [name, shape] of Object.entries(row.inputs)) b.input(name, type, shape)
  const outputs = build(b, type)
  for (const output of typeof outputs === 'string' ? [outputs] : outputs) b.output(output, type, row.output)
  return b.graph()
}

const draw: { readonly [kind in Values]: (rng: Rng, i: number, count: number) => number } = {
  normal: (rng) => rng.normal(),
  positive: (rng) => 0.5 + 1.5 * rng.uniform(),
  unit: (rng) => 0.1 + 0.8 * rng.uniform(),
  // A hat over each kink at 0, ±1, ±3: nothing within 0.1.
  away: (rng) => {
    const value = 2 * rng.normal()
    const kink = [-3, -1, 0, 1, 3].find((at) => Math.abs(value - at) < 0.1)
    return kink === undefined ? value : kink + (value < kink ? -0.15 : 0.15)
  },
  // Steps of 7 modulo a prime above the count visit every residue once: no two equal.
  distinct: (_rng, i, count) => ((i * 7919) % prime(count)) * 0.02 - 1,
}

function prime(above: number): number {
  for (let n = Math.max(above, 2) + 1; ; n++) {
    let divisor = 2
    while (divisor * divisor <= n && n % divisor !== 0) divisor++
    if (divisor * divisor > n && n !== 7919) return n
  }
}

/** Values for the inputs of a case with the symbol N at `size`. */
export function inputsOf(row: GradcheckCase, size: number, rng: Rng): { [name: string]: Tensor<'float64'> } {
  const entries = Object.entries(row.inputs).map(([name, shape], at) => {
    const kind = typeof row.values === 'object' ? (row.values[name] ?? 'normal') : (row.values ?? 'normal')
    const dims = shape.map((dim) => sizeOf(dim, size))
    const count = elementCount(dims)
    const from = rng.split(name)
    // Two operands of one maximum must not be equal either.
    const shift = kind === 'distinct' ? at * 0.007 : 0
    const data = Float64Array.from({ length: count }, (_, i) => draw[kind](from, i, count) + shift)
    return [name, tensor('float64', dims, data)] as const
  })
  return Object.fromEntries(entries)
}

function sizeOf(dim: Dim, size: number): number {
  const value = evaluateDim(dim, new Map(Object.entries({ N: size, K: 4, M: 1 })))
  if (value === undefined) throw new Error(`the size ${dim} has no value`)
  return value
}

function noise(like: Tensor, rng: Rng): Tensor<'float64'> {
  return tensor(
    'float64',
    like.dims,
    Float64Array.from({ length: like.data.length }, () => rng.normal()),
  )
}

function float64(value: Tensor): Float64Array {
  if (!isType(value, 'float64')) throw new Error(`expected float64, got ${value.type}`)
  return value.data
}

function dot(p: Float64Array, q: Float64Array): number {
  return p.reduce((sum, value, i) => sum + value * q[i]!, 0)
}

function moved(inputs: TensorMap, direction: TensorMap, step: number): TensorMap {
  const entries = Object.entries(inputs).map(([name, value]) => {
    const towards = direction[name] && float64(direction[name])
    if (towards === undefined) return [name, value] as const
    return [
      name,
      tensor(
        'float64',
        value.dims,
        float64(value).map((x, i) => x + step * towards[i]!),
      ),
    ] as const
  })
  return Object.fromEntries(entries)
}

const STEP = 1e-5

function rounded(values: TensorMap): { [name: string]: Tensor<'float32'> } {
  const entries = Object.entries(values).map(
    ([name, value]) => [name, tensor('float32', value.dims, Float32Array.from(float64(value)))] as const,
  )
  return Object.fromEntries(entries)
}

function widened(value: Tensor): Tensor<'float64'> {
  if (isType(value, 'float64')) return value
  if (!isType(value, 'float32')) throw new Error(`expected floats, got ${value.type}`)
  return tensor('float64', value.dims, Float64Array.from(value.data))
}

/**
 * ⟨gradient, v⟩ against (L(x + hv) − L(x − hv)) / 2h in float64, L = Σ ⟨cotangent, output⟩, for a random direction v in each
 * input by itself. Both graphs are made once and run at every size. Relative to Σ|gradient·v|, so that cancellation hides nothing.
 */
export async function checkByDifferences(row: GradcheckCase, tolerance: number): Promise<void> {
  const type = row.reference === undefined ? 'float64' : 'float32'
  const program = vjp(graphOf(row, type), { wrt: Object.keys(row.inputs) })
  const forward = await runner(program.forward, row.opset)
  const backward = await runner(program.backward, row.opset)
  // Not the forward graph of the program: its outputs have other names in the reference.
  const plain = row.reference === undefined ? program.forward : graphOf(row, 'float64', row.reference)
  const smooth = row.reference === undefined ? forward : await runner(plain)
  const names = plain.outputs.map((output) => output.name)
  try {
    for (const size of row.sizes ?? [1, 2, 5]) {
      const random = rng(17).split(`${row.ops[0]} ${row.title} ${size}`)
      // Numbers that float32 holds, so that both graphs get the same.
      const narrow = rounded(inputsOf(row, size, random.split('inputs')))
      const inputs = Object.fromEntries(Object.entries(narrow).map(([name, value]) => [name, widened(value)]))
      let cotangents: Tensor<'float64'>[] = []
      const seed = (outputs: TensorMap): TensorMap => {
        const drawn = program.outputs.map((name) =>
          rounded({ [name]: noise(outputs[name]!, random.split(`cotangent ${name}`)) }),
        )
        cotangents = drawn.map((one) => widened(Object.values(one)[0]!))
        const given = drawn.map((one) => Object.values(one)[0]!)
        return Object.fromEntries(
          program.outputs.map((name, i) => [name, type === 'float64' ? cotangents[i]! : given[i]!]),
        )
      }
      const { gradients, outputs } = await runProgram(
        program,
        forward,
        backward,
        type === 'float64' ? inputs : narrow,
        seed,
      )
      const loss = async (at: TensorMap): Promise<number> => {
        const made = await smooth.run(at)
        return cotangents.reduce((sum, cotangent, i) => sum + dot(float64(made[names[i]!]!), cotangent.data), 0)
      }
      if (row.reference !== undefined) {
        const expected = await smooth.run(inputs)
        for (const [i, name] of program.outputs.entries()) expectSame(outputs[name]!, expected[names[i]!]!)
      }
      for (const name of Object.keys(row.inputs)) {
        expect(gradients[name]!.dims, `dims of the gradient of ${name} at N = ${size}`).toEqual(inputs[name]!.dims)
        const direction = noise(inputs[name]!, random.split(`direction ${name}`))
        const along = { [name]: direction }
        const up = await loss(moved(inputs, along, STEP))
        const down = await loss(moved(inputs, along, -STEP))
        const products = widened(gradients[name]!).data.map((g, i) => g * direction.data[i]!)
        const expected = (up - down) / (2 * STEP)
        const got = products.reduce((sum, value) => sum + value, 0)
        const scale = Math.max(
          1e-3,
          products.reduce((sum, value) => sum + Math.abs(value), 0),
        )
        expect(Math.abs(got - expected) / scale, `${name} at N = ${size}: ${got} against ${expected}`).toBeLessThan(
          row.reference === undefined ? tolerance : 1e-5,
        )
      }
    }
  } finally {
    await forward.release()
    await backward.release()
    if (smooth !== forward) await smooth.release()
  }
}

/** The reference is of the op only if it has the op's outputs. */
function expectSame(got: Tensor, expected: Tensor): void {
  expect(got.dims).toEqual(expected.dims)
  const [p, q] = [widened(got).data, float64(expected)]
  for (const [i, value] of q.entries())
    expect(Math.abs(p[i]! - value)).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)))
}
