import { builder, encode, float, type Model, mlp } from '@imago/onnx'
import { predictor } from '@imago/runtime'
import { rng, type Tensor, type TensorMap, tensor, UnsupportedError } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  correctDustbin,
  dustbinOffset,
  fitDustbin,
  fullSpecialistModel,
  lastLinear,
  specialistFile,
  specialistModel,
} from '../src/index.js'
import { draws, softmaxRow } from './draws.js'

const features = 5

/** Models whose last layer is linear, in each way that exporters write one. */
const heads: { readonly [name: string]: (classes: number) => Model } = {
  'Gemm [C, K]': (classes) => headed('gemm-rows', classes),
  'Gemm [K, C], alpha and beta': (classes) => headed('gemm-columns', classes),
  'Gemm without bias': (classes) => headed('gemm-bare', classes),
  'MatMul and Add': (classes) => headed('matmul-add', classes),
  'Add with the bias first': (classes) => headed('add-matmul', classes),
  'MatMul alone': (classes) => headed('matmul', classes),
  'MatMul of transposed weights': (classes) => headed('transposed', classes),
  'weights that are inputs too, as old files list them': (classes) => headed('inputs', classes),
  'a scalar for a bias': (classes) => headed('scalar', classes),
  'Softmax behind': (classes) => headed('softmax', classes),
  'Identity behind': (classes) => headed('identity', classes),
  mlp: (classes) => mlp([features, 7, classes], { rng: rng(3) }),
}

function headed(kind: string, classes: number): Model {
  const draw = draws(17)
  const b = builder()
  const x = b.op('Tanh', [b.input('input', 'float32', ['N', features])])
  const weights = (dims: number[]): string =>
    b.initializer('head.weight', tensor('float32', dims, draw.normals(dims.reduce((p, q) => p * q, 1))))
  const bias = (): string => b.initializer('head.bias', tensor('float32', [classes], draw.normals(classes)))
  let y: string
  if (kind === 'gemm-columns')
    y = b.op('Gemm', [x, weights([features, classes]), bias()], { alpha: float(0.5), beta: float(3) })
  else if (kind === 'gemm-bare') y = b.op('Gemm', [x, weights([classes, features])], { transB: 1 })
  else if (kind === 'matmul-add') y = b.op('Add', [b.op('MatMul', [x, weights([features, classes])]), bias()])
  else if (kind === 'add-matmul') y = b.op('Add', [bias(), b.op('MatMul', [x, weights([features, classes])])])
  else if (kind === 'matmul') y = b.op('MatMul', [x, weights([features, classes])])
  else if (kind === 'transposed')
    y = b.op('MatMul', [x, b.op('Transpose', [weights([classes, features])], { perm: [1, 0] })])
  else if (kind === 'inputs') {
    b.input('head.weight', 'float32', [classes, features])
    b.input('head.bias', 'float32', [classes])
    y = b.op('Gemm', [x, weights([classes, features]), bias()], { transB: 1 })
  } else if (kind === 'scalar') y = b.op('Gemm', [x, weights([features, classes]), b.scalar(0.3)])
  else y = b.op('Gemm', [x, weights([classes, features]), bias()], { transB: 1 })
  if (kind === 'softmax') y = b.op('Softmax', [y], { axis: -1 })
  if (kind === 'identity') y = b.op('Identity', [y])
  b.output(y, 'float32', ['N', classes])
  return {
    irVersion: 9,
    opsets: new Map([['', 17]]),
    producer: 'test',
    graph: b.graph(),
    metadata: new Map([['kept', 'yes']]),
    functions: [],
  }
}

async function logitsOf(model: Model, inputs: TensorMap): Promise<Tensor<'float32'>> {
  const predict = await predictor(encode(model), { threads: 1, gives: 'logits' })
  try {
    return (await predict(inputs)).logits as Tensor<'float32'>
  } finally {
    await predict.dispose()
  }
}

const rows = 40
const inputs = (seed = 5): TensorMap => ({
  input: tensor('float32', [rows, features], draws(seed).normals(rows * features)),
})

describe('a specialist that begins as its generalist', () => {
  it.each(Object.keys(heads))('%s: special logits are the generalist’s, the dustbin’s their mean', async (name) => {
    const classes = 9
    const set = { name: 'odd', classes: [7, 1, 3] }
    const generalist = heads[name]!(classes)
    const x = inputs()
    const general = await logitsOf(generalist, x)
    const { model, constant } = specialistModel(generalist, { set, logits: general })
    const special = await logitsOf(model, x)
    expect(special.dims).toEqual([rows, 4])
    let [wanted, got] = [0, 0]
    for (let r = 0; r < rows; r++) {
      const z = general.data.subarray(r * classes, (r + 1) * classes)
      const own = special.data.subarray(r * 4, (r + 1) * 4)
      const rest = [...z].filter((_, c) => !set.classes.includes(c))
      const expected = [...set.classes.map((c) => z[c]!), rest.reduce((a, b) => a + b) / 6 + Math.log(6) + constant]
      for (const [i, value] of expected.entries()) expect(own[i]).toBeCloseTo(value, 4)
      const p = softmaxRow(z)
      wanted += [0, 2, 4, 5, 6, 8].reduce((sum, c) => sum + p[c]!, 0)
      got += softmaxRow(own)[3]!
    }
    expect(constant).toBeGreaterThan(0)
    expect(got / rows).toBeCloseTo(wanted / rows, 5)
    expect(specialistFile(model, 'it', set)).toEqual({ set, classes, head: 'dustbin' })
  })

  it('with a dustbin of one class is the generalist, classes in another order', async () => {
    const x = inputs()
    const generalist = heads.mlp!(4)
    const general = await logitsOf(generalist, x)
    const { model, constant } = specialistModel(generalist, {
      set: { name: 'all but 1', classes: [3, 0, 2] },
      logits: general,
    })
    expect(constant).toBe(0)
    const special = await logitsOf(model, x)
    for (let r = 0; r < rows; r++)
      for (const [i, c] of [3, 0, 2, 1].entries())
        expect(special.data[r * 4 + i]).toBeCloseTo(general.data[r * 4 + c]!, 5)
  })

  it('keeps the names of its weights, the metadata, and what else reads the generalist’s weights', () => {
    const generalist = heads['Gemm [C, K]']!(6)
    const { model } = specialistModel(generalist, {
      set: { name: 'a', classes: [0, 1] },
      logits: tensor('float32', [1, 6], new Float32Array(6)),
    })
    expect([...model.graph.initializers.keys()]).toEqual(['head.weight', 'head.bias'])
    expect(model.graph.initializers.get('head.weight')!.dims).toEqual([3, features])
    expect(generalist.graph.initializers.get('head.weight')!.dims).toEqual([6, features])
    expect(model.metadata.get('kept')).toBe('yes')
  })

  it('is fitted to the mean mass, whatever the logits', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 12 }),
        fc.integer({ min: 1, max: 6 }),
        fc.nat(),
        fc.double({ min: 0.01, max: 30, noNaN: true }),
        (C, N, seed, spread) => {
          const z = draws(seed).normals(N * C, spread)
          const size = 1 + (seed % (C - 1))
          const set = { name: 's', classes: Array.from({ length: size }, (_, i) => i) }
          const a = fitDustbin({ logits: tensor('float32', [N, C], z), set })
          let [wanted, got] = [0, 0]
          for (let r = 0; r < N; r++) {
            const row = Float64Array.from(z.subarray(r * C, (r + 1) * C))
            const rest = row.subarray(size)
            wanted += softmaxRow(row)
              .subarray(size)
              .reduce((x, y) => x + y)
            const d = rest.reduce((x, y) => x + y) / rest.length + Math.log(rest.length) + a
            got += softmaxRow(Float64Array.of(...row.subarray(0, size), d)).at(-1)!
          }
          expect(a).toBeGreaterThanOrEqual(-1e-9)
          expect(Math.abs(got - wanted)).toBeLessThan(1e-9 * N + 1e-9 * wanted)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('may keep all classes (section 6.1)', async () => {
    const generalist = heads['Softmax behind']!(6)
    const set = { name: 'a', classes: [4, 5] }
    const model = fullSpecialistModel(generalist, { set })
    expect(specialistFile(model, 'it')).toEqual({ set, classes: 6, head: 'full' })
    const x = inputs()
    expect((await logitsOf(model, x)).data).toEqual((await logitsOf(generalist, x)).data)
  })
})

describe('the dustbin after training', () => {
  it('is corrected by the ratio of odds', async () => {
    expect(dustbinOffset({ trueShare: 0.1 })).toBeCloseTo(Math.log(9), 12)
    expect(dustbinOffset({ trueShare: 0.5 })).toBe(0)
    expect(dustbinOffset({ trueShare: 0.2, trainingShare: 0.2 })).toBe(0)
    const generalist = heads['Gemm [K, C], alpha and beta']!(5)
    const x = inputs()
    const { model } = specialistModel(generalist, {
      set: { name: 'a', classes: [2, 4] },
      logits: await logitsOf(generalist, x),
    })
    const corrected = correctDustbin(model, 1.25)
    const [before, after] = [await logitsOf(model, x), await logitsOf(corrected, x)]
    for (let i = 0; i < before.data.length; i++)
      expect(after.data[i]! - before.data[i]!).toBeCloseTo(i % 3 === 2 ? 1.25 : 0, 4)
    expect(specialistFile(corrected, 'it').offset).toBe(1.25)
    expect(() => correctDustbin(corrected, 1)).toThrow(/was corrected before, by 1.25/)
    const full = fullSpecialistModel(generalist, { set: { name: 'a', classes: [1] } })
    const [all, moved] = [await logitsOf(full, x), await logitsOf(correctDustbin(full, -0.5), x)]
    for (let i = 0; i < all.data.length; i++)
      expect(moved.data[i]! - all.data[i]!).toBeCloseTo(i % 5 === 1 ? 0 : -0.5, 4)
    const bare = fullSpecialistModel(heads['Gemm without bias']!(5), { set: { name: 'a', classes: [1] } })
    const [without, given] = [await logitsOf(bare, x), await logitsOf(correctDustbin(bare, 2), x)]
    for (let i = 0; i < without.data.length; i++)
      expect(given.data[i]! - without.data[i]!).toBeCloseTo(i % 5 === 1 ? 0 : 2, 4)
    const { graph } = model
    const initializers = new Map([...graph.initializers].filter(([name]) => name !== 'head.bias'))
    const nodes = graph.nodes.map((node) => (node.op === 'Gemm' ? { ...node, inputs: node.inputs.slice(0, 2) } : node))
    expect(() => correctDustbin({ ...model, graph: { ...graph, initializers, nodes } }, 1)).toThrow(
      /has no bias of 3 numbers/,
    )
  })

  it('so that posteriors learnt from half/half rows become those of the true shares (closed form)', () => {
    // Two special classes and a dustbin with known densities at a point: Bayes' rule at both priors, exactly.
    fc.assert(
      fc.property(
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        fc.array(fc.double({ min: 0.01, max: 10, noNaN: true }), { minLength: 3, maxLength: 3 }),
        (r, t, [a, b, d]) => {
          const posterior = (special: number): number[] => {
            const joint = [special * 0.4 * a!, special * 0.6 * b!, (1 - special) * d!]
            const total = joint.reduce((x, y) => x + y)
            return joint.map((x) => x / total)
          }
          const learnt = posterior(t).map(Math.log)
          learnt[2]! += dustbinOffset({ trueShare: r, trainingShare: t })
          const moved = softmaxRow(Float64Array.from(learnt))
          for (const [i, p] of posterior(r).entries()) expect(moved[i]).toBeCloseTo(p, 10)
        },
      ),
    )
  })

  it.each([0, 1, -0.1, Number.NaN])('refuses the share %s', (trueShare) => {
    expect(() => dustbinOffset({ trueShare })).toThrow(/trueShare.*in \(0, 1\)/)
  })
})

describe('what has no head for a specialist', () => {
  const refused: {
    readonly [name: string]: [build: (b: ReturnType<typeof builder>, x: string) => string, says: RegExp]
  } = {
    'a Relu at the end': [
      (b, x) => b.op('Relu', [x]),
      /Relu.*linear layer; the last layer must be a Gemm, or a MatMul/,
    ],
    'a pooled convolution': [
      (b, x) => b.op('Flatten', [b.op('GlobalAveragePool', [b.op('Unsqueeze', [x, b.ints([2])])])]),
      /Flatten.*the last layer must be/,
    ],
    'weights that are computed': [
      (b, x) => b.op('MatMul', [x, b.op('Tanh', [b.constant(tensor('float32', [5, 4], new Float32Array(20)))])]),
      /weights are no constant/,
    ],
    'weights in float64': [
      (b, x) => b.op('Gemm', [x, b.constant(tensor('float64', [5, 4], new Float64Array(20)))]),
      /of type float64/,
    ],
    'one output': [
      (b, x) => b.op('Gemm', [x, b.constant(tensor('float32', [5, 1], new Float32Array(5)))]),
      /one output, which says yes or no/,
    ],
    'a bias for each row': [
      (b, x) =>
        b.op('Add', [
          b.op('MatMul', [x, b.constant(tensor('float32', [5, 4], new Float32Array(20)))]),
          b.constant(tensor('float32', [3, 4], new Float32Array(12))),
        ]),
      /no constant vector/,
    ],
  }
  it.each(Object.keys(refused))('%s is refused, and what is supported said', (name) => {
    const [build, says] = refused[name]!
    const b = builder()
    const x = b.input('input', 'float32', ['N', 5])
    b.output(build(b, x), 'float32')
    const model: Model = {
      irVersion: 9,
      opsets: new Map([['', 17]]),
      producer: '',
      graph: b.graph(),
      metadata: new Map(),
      functions: [],
    }
    expect(() => lastLinear(model)).toThrow(UnsupportedError)
    expect(() => lastLinear(model)).toThrow(says)
  })

  it('sets that are none are refused', () => {
    const generalist = heads.mlp!(4)
    const logits = tensor('float32', [1, 4], new Float32Array(4))
    for (const [classes, says] of [
      [[], /1 … 3 of the 4 classes in "s"/],
      [[0, 1, 2, 3], /some are left for the dustbin/],
      [[1, 2, 1], /different classes in "s"/],
      [[4], /classes in \[0, 4\)/],
      [[0.5], /classes in \[0, 4\)/],
    ] as const)
      expect(() => specialistModel(generalist, { set: { name: 's', classes }, logits })).toThrow(says)
  })

  it('a file that is no specialist, or another set’s, is refused', () => {
    const generalist = heads.mlp!(4)
    expect(() => specialistFile(generalist, 'g.onnx')).toThrow(/g\.onnx: is no specialist/)
    const { model } = specialistModel(generalist, {
      set: { name: 's', classes: [0, 1] },
      logits: tensor('float32', [1, 4], new Float32Array(4)),
    })
    expect(() => specialistFile(model, 'a.onnx', { name: 't', classes: [0, 2] })).toThrow(
      /a\.onnx is a specialist for the classes 0, 1, not for 0, 2 of "t"/,
    )
    for (const text of ['{', '[]', 'null', '{"version":1,"name":"s","set":[0,0],"of":4,"head":"dustbin"}'])
      expect(() => specialistFile({ ...model, metadata: new Map([['imago.specialist', text]]) }, 'b.onnx')).toThrow(
        /b\.onnx: its (metadata|set)/,
      )
  })
})
