import { vjp } from '@imago/autodiff'
import { type Builder, builder } from '@imago/onnx'
import { isType, rng, type Tensor, type TensorMap, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkByDifferences } from './check-case.js'
import { runner, runProgram } from './run-graph.js'

const runs = { numRuns: 25 }

type Value = { readonly name: string; readonly wide: boolean }
type Step = (b: Builder, values: readonly Value[], pick: readonly number[]) => Value

/** Smooth ops over values [N, 4] (wide) and [N, 1]: whatever is drawn fits together. */
const steps: { readonly [name: string]: Step } = {
  unary: (b, values, [i, kind]) => {
    const from = values[i! % values.length]!
    return { name: b.op(['Tanh', 'Sigmoid', 'Sin', 'Cos'][kind! % 4]!, [from.name]), wide: from.wide }
  },
  binary: (b, values, [i, kind, j]) => {
    const [p, q] = [values[i! % values.length]!, values[j! % values.length]!]
    return { name: b.op(['Add', 'Sub', 'Mul'][kind! % 3]!, [p.name, q.name]), wide: p.wide || q.wide }
  },
  product: (b, values, [i]) => {
    const from = values.filter((value) => value.wide)
    return { name: b.op('MatMul', [from[i! % from.length]!.name, 'w']), wide: true }
  },
  mean: (b, values, [i]) => {
    const from = values[i! % values.length]!
    return { name: b.op('ReduceMean', [from.name], { axes: [1] }), wide: false }
  },
  softmax: (b, values, [i]) => {
    const from = values.filter((value) => value.wide)
    return { name: b.op('Softmax', [from[i! % from.length]!.name]), wide: true }
  },
  reversed: (b, values, [i]) => {
    const from = values.filter((value) => value.wide)
    const chosen = from[i! % from.length]!.name
    const ends = b.ints([-(2 ** 31)])
    return { name: b.op('Slice', [chosen, b.ints([-1]), ends, b.ints([1]), b.ints([-1])]), wide: true }
  },
}

const drawn = fc.array(fc.tuple(fc.constantFrom(...Object.keys(steps)), fc.nat(), fc.nat(), fc.nat()), {
  minLength: 1,
  maxLength: 8,
})

/** Every value joins the output, so that none is a dead branch. */
function assembleSteps(b: Builder, plan: readonly (readonly [string, number, number, number])[]): string {
  const values: Value[] = [{ name: 'x', wide: true }]
  for (const [name, ...pick] of plan) values.push(steps[name]!(b, values, pick))
  return b.op('Sum', ['x', ...values.map((value) => value.name)])
}

test('any graph of smooth ops agrees with finite differences', async () => {
  await fc.assert(
    fc.asyncProperty(drawn, (plan) =>
      checkByDifferences(
        {
          ops: ['property'],
          title: '',
          inputs: { x: ['N', 4], w: [4, 4] },
          sizes: [1, 3],
          build: (b) => assembleSteps(b, plan),
        },
        1e-6,
      ),
    ),
    runs,
  )
})

function values(t: Tensor): readonly number[] {
  if (!isType(t, 'float64')) throw new Error(`expected float64, got ${t.type}`)
  return Array.from(t.data)
}

function expectClose(got: readonly number[], expected: readonly number[]): void {
  expect(got).toHaveLength(expected.length)
  for (const [i, value] of expected.entries()) expect(got[i]).toBeCloseTo(value, 9)
}

function normal(dims: readonly number[], seed: number): Tensor<'float64'> {
  const random = rng(seed)
  const count = dims.reduce((product, dim) => product * dim, 1)
  return tensor(
    'float64',
    dims,
    Float64Array.from({ length: count }, () => random.normal()),
  )
}

test('the pullback is linear in the cotangent', async () => {
  await fc.assert(
    fc.asyncProperty(drawn, fc.double({ min: -3, max: 3, noNaN: true }), fc.nat(), async (plan, scale, seed) => {
      const b = builder()
      b.input('x', 'float64', ['N', 4])
      b.input('w', 'float64', [4, 4])
      b.output(assembleSteps(b, plan))
      const program = vjp(b.graph(), { wrt: ['x', 'w'] })
      const forward = await runner(program.forward)
      const backward = await runner(program.backward)
      const feeds = { x: normal([3, 4], seed), w: normal([4, 4], seed + 1) }
      const pull = async (cotangent: Tensor): Promise<TensorMap> =>
        (await runProgram(program, forward, backward, feeds, () => ({ [program.outputs[0]!]: cotangent }))).gradients
      const [p, q] = [normal([3, 4], seed + 2), normal([3, 4], seed + 3)]
      const both = tensor(
        'float64',
        [3, 4],
        p.data.map((value, i) => value + scale * q.data[i]!),
      )
      const [fromP, fromQ, fromBoth] = [await pull(p), await pull(q), await pull(both)]
      for (const name of ['x', 'w']) {
        const right = values(fromQ[name]!)
        expectClose(
          values(fromBoth[name]!),
          values(fromP[name]!).map((value, i) => value + scale * right[i]!),
        )
      }
      await forward.release()
      await backward.release()
    }),
    runs,
  )
})

/** Pairs that undo each other on x [N, 3, 4], its values in [0.5, 1.5]. */
const inverses: { readonly [name: string]: (b: Builder) => string } = {
  'Exp after Log': (b) => b.op('Exp', [b.op('Log', ['x'])]),
  'Log after Exp': (b) => b.op('Log', [b.op('Exp', ['x'])]),
  'a square after Sqrt': (b) => b.op('Pow', [b.op('Sqrt', ['x']), b.scalar(2, 'float64')]),
  'Reciprocal twice': (b) => b.op('Reciprocal', [b.op('Reciprocal', ['x'])]),
  'Transpose there and back': (b) =>
    b.op('Transpose', [b.op('Transpose', ['x'], { perm: [2, 0, 1] })], { perm: [1, 2, 0] }),
  'Concat after Split': (b) => b.op('Concat', b.ops('Split', ['x'], { axis: 1 }, { outputs: 3 }), { axis: 1 }),
  'Slice after Pad': (b) =>
    b.op('Slice', [b.op('Pad', ['x', b.ints([0, 1, 2, 0, 0, 3])]), b.ints([1, 2]), b.ints([4, 6]), b.ints([1, 2])]),
  'Reshape there and back': (b) => b.op('Reshape', [b.op('Flatten', ['x']), b.ints([-1, 3, 4])]),
  'Div after Mul': (b) => b.op('Div', [b.op('Mul', ['x', 'x']), 'x']),
  'Sub after Add': (b) => b.op('Sub', [b.op('Add', ['x', b.op('Sin', ['x'])]), b.op('Sin', ['x'])]),
}

describe('what undoes itself passes the cotangent on as it came:', () => {
  for (const [name, build] of Object.entries(inverses))
    test(name, async () => {
      const b = builder()
      b.input('x', 'float64', ['N', 3, 4])
      b.output(build(b))
      const program = vjp(b.graph(), { wrt: ['x'] })
      const forward = await runner(program.forward)
      const backward = await runner(program.backward)
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.nat(), async (size, seed) => {
          const random = rng(seed)
          const x = tensor(
            'float64',
            [size, 3, 4],
            Float64Array.from({ length: 12 * size }, () => 0.5 + random.uniform()),
          )
          const dY = normal([size, 3, 4], seed + 1)
          const { gradients } = await runProgram(program, forward, backward, { x }, () => ({
            [program.outputs[0]!]: dY,
          }))
          expectClose(values(gradients.x!), values(dY))
        }),
        runs,
      )
      await forward.release()
      await backward.release()
    })
})
