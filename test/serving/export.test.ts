import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Builder, builder, decode, encode, float, foldBatchNorm, type Model } from '@imago/onnx'
import { compareModels, exportModel, inspectStudent, openStudent } from '@imago/runtime'
import { elementCount, rng, type Tensor, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { drawn, filled, type Golden, wholes } from '../golden/students/golden.js'

const folder = fileURLToPath(new URL('../golden/students/', import.meta.url))
/** All 23 of one exporter, and what the other writes otherwise: constants under CastLike, functions, sequences. */
const students = readdirSync(folder).filter((file) =>
  /^[^.]+\.onnx$|^(resnet8x4|bert|shufflenet-v2)\.dynamo\.onnx$/.test(file),
)

function around(b: Builder): Model {
  const graph = b.graph()
  return { irVersion: 8, opsets: new Map([['', 17]]), producer: '', graph, metadata: new Map(), functions: [] }
}

describe('exportModel', () => {
  // The student's own float32 inference, which folds nothing, is what the served file is held against, in a plain session.
  it.each(students)('%s, folded and in half the bytes, classifies as the student does', async (file) => {
    const name = file.replace(/(\.dynamo)?\.onnx$/, '')
    const golden = JSON.parse(readFileSync(`${folder}${name}.json`, 'utf8')) as Golden
    const random = rng(golden.seed).split(name)
    const bytes = filled(readFileSync(folder + file), golden, random)
    const inputs = inputsOf(golden, 3)
    const student = await openStudent(bytes, { threads: 1 })
    const { logits } = await student.predict(student.parameters)(inputs)
    await student.dispose()
    const options = { rng: rng(1), threads: 1 }
    const folded = await exportModel(decode(bytes), { ...options, optimize: true })
    expect(await distance(folded.model, inputs, logits!)).toBeLessThan(1e-5)
    const half = await exportModel(folded.model, { ...options, fp16: true })
    expect(await distance(half.model, inputs, logits!)).toBeLessThan(4e-3)
    // A convolution before every normalization but in nets that normalise first, or behind Relu.
    const normalizations = folded.model.graph.nodes.filter(({ op }) => op === 'BatchNormalization').length
    expect(normalizations).toBe({ densenet: 8, tdnn: 4, 'wrn-16-2': 6 }[name] ?? 0)
    const types = new Set(half.model.graph.inputs.concat(half.model.graph.outputs).map(({ type }) => type))
    expect(types.has('float16')).toBe(false)
  })

  it('half weights keep their names, and train on', async () => {
    const b = builder()
    const weight = tensor(
      'float32',
      [3, 4],
      Float32Array.from({ length: 12 }, (_, i) => Math.sin(i)),
    )
    const bias = tensor('float32', [3], Float32Array.of(1 / 3, 1e-9, -2))
    const x = b.input('x', 'float32', ['N', 4])
    b.output(
      b.op('Gemm', [x, b.initializer('head.weight', weight), b.initializer('head.bias', bias)], { transB: 1 }),
      'float32',
      ['N', 3],
    )
    const { model, difference } = await exportModel(around(b), { fp16: true, rng: rng(1), threads: 1 })
    const { initializers } = model.graph
    expect([initializers.get('head.weight')!.type, initializers.get('head.bias')!.type]).toEqual(['float16', 'float32'])
    expect(difference.identical).toBe(false)
    expect(difference.relative).toBeLessThan(1e-3)
    const student = await openStudent(encode(model), { threads: 1 })
    expect(Object.keys(student.differentiable.parameters).sort()).toEqual(['head.bias', 'head.weight'])
    await student.dispose()
  })

  it('refuses weights that half precision cannot hold, and nothing to do', async () => {
    const b = builder()
    const wide = tensor('float32', [2, 2], Float32Array.of(1, 65520, 3, 4))
    b.output(b.op('MatMul', [b.input('x', 'float32', ['N', 2]), b.initializer('w', wide)]), 'float32', ['N', 2])
    const options = { rng: rng(1), threads: 1 }
    await expect(exportModel(around(b), { ...options, fp16: true })).rejects.toThrow(/65520 in "w" at element 1/)
    await expect(exportModel(around(b), options)).rejects.toThrow(/at least one of them/)
    await expect(exportModel(around(b), { ...options, optimize: true, dims: { M: 3 } })).rejects.toThrow(/among N, 2/)
  })

  it('refuses a graph whose outputs folding moves, though here they become better', async () => {
    const b = builder()
    const x = b.input('x', 'float32', ['N', 1])
    const one = (name: string, value: number, dims = [1]): string =>
      b.initializer(name, tensor('float32', dims, Float32Array.of(value)))
    // x + 10⁷ keeps the whole part of x alone; folded, 10⁷ is taken off before x is there.
    const z = b.op('Gemm', [x, one('w', 1, [1, 1]), one('b', 1e7)])
    const statistics = [one('γ', 1), one('β', 0), one('μ', 1e7), one('σ²', 1)]
    b.output(b.op('BatchNormalization', [z, ...statistics]), 'float32', ['N', 1])
    const exported = exportModel(around(b), { optimize: true, rng: rng(1), threads: 1 })
    await expect(exported).rejects.toThrow(/folding moves the outputs by .* leave --optimize out/)
  })
})

it('who trains a file of the training mode is told how to serve it', () => {
  const told = (file: string): boolean => {
    const golden = JSON.parse(readFileSync(`${folder}resnet8x4.json`, 'utf8')) as Golden
    const bytes = filled(readFileSync(folder + file), golden, rng(golden.seed))
    return inspectStudent(decode(bytes)).notes.some((note) => note.includes('imago export --optimize'))
  }
  expect([told('resnet8x4.onnx'), told('resnet8x4.dynamo.onnx')]).toEqual([true, false])
})

describe('compareModels', () => {
  const linear = (...weights: number[]): Model => {
    const b = builder()
    const w = b.initializer('w', tensor('float32', [2, 2], Float32Array.from(weights)))
    b.output(b.op('MatMul', [b.input('x', 'float32', ['N', 2]), w], {}, { outputs: ['y'] }), 'float32', ['N', 2])
    return around(b)
  }
  const options = { rng: rng(3), threads: 1 }

  it('sees one bit of one weight', async () => {
    expect(await compareModels(linear(1, 2, 3, 4), linear(1, 2, 3, 4), options)).toEqual({
      identical: true,
      relative: 0,
      values: 4,
    })
    const { identical, relative } = await compareModels(linear(1, 2, 3, 4), linear(1, 2, 3, 4 + 2 ** -21), options)
    expect(identical).toBe(false)
    expect(relative).toBeGreaterThan(0)
    expect(relative).toBeLessThan(1e-6)
  })

  it('a NaN in one of them is infinitely far from a number', async () => {
    const { relative } = await compareModels(linear(1, 2, 3, 4), linear(1, 2, 3, Number.NaN), options)
    expect(relative).toBe(Number.POSITIVE_INFINITY)
    const same = await compareModels(linear(1, 2, 3, Number.NaN), linear(1, 2, 3, Number.NaN), options)
    expect(same.identical).toBe(true)
  })
})

describe('foldBatchNorm', () => {
  const layer = fc.record({
    kind: fc.constantFrom('Conv', 'ConvTranspose', 'Gemm', 'Gemm transB'),
    group: fc.integer({ min: 1, max: 3 }),
    perGroup: fc.integer({ min: 1, max: 3 }),
    bias: fc.boolean(),
    seed: fc.nat(),
  })
  interface Layer {
    readonly kind: string
    readonly group: number
    readonly perGroup: number
    readonly bias: boolean
    readonly seed: number
  }
  /** A layer of random weights, then a normalization; `around` may put more into the graph. */
  const net = ({ kind, group, perGroup, bias, seed }: Layer, more?: (b: Builder, z: string) => void): Model => {
    const b = builder()
    const random = rng(seed)
    const values = (name: string, dims: number[], map = (u: number): number => u): string =>
      b.initializer(
        name,
        tensor(
          'float32',
          dims,
          Float32Array.from({ length: elementCount(dims) }, () => map(random.normal())),
        ),
      )
    const isImage = kind.startsWith('Conv')
    const groups = isImage ? group : 1
    const [inner, out] = [2 * groups, perGroup * groups]
    const x = b.input('x', 'float32', isImage ? ['N', inner, 5, 4] : ['N', inner])
    const dims = {
      Conv: [out, 2, 3, 2],
      ConvTranspose: [inner, perGroup, 3, 2],
      Gemm: [inner, out],
      'Gemm transB': [out, inner],
    }[kind]!
    const attributes: { [name: string]: number } = isImage ? { group: groups } : kind === 'Gemm' ? {} : { transB: 1 }
    const sources = [x, values('layer.weight', dims), ...(bias ? [values('layer.bias', [out])] : [])]
    const z = b.op(kind.split(' ')[0]!, sources, attributes)
    const statistics = ['γ', 'β', 'μ'].map((name) => values(name, [out]))
    const variance = values('σ²', [out], (u) => u * u + 0.1)
    b.output(
      b.op('BatchNormalization', [z, ...statistics, variance], { epsilon: float(1e-3) }, { outputs: ['y'] }),
      'float32',
    )
    more?.(b, z)
    return around(b)
  }

  it('gives what the two nodes gave, whatever layer, groups and bias', async () => {
    await fc.assert(
      fc.asyncProperty(layer, async (spec) => {
        const model = net(spec)
        const { graph, folded } = foldBatchNorm(model.graph)
        expect([folded, graph.nodes.length]).toEqual([1, 1])
        expect([...graph.initializers.keys()].sort()).toEqual(['layer.bias', 'layer.weight'])
        const { relative } = await compareModels(model, { ...model, graph }, { rng: rng(spec.seed), threads: 1 })
        expect(relative).toBeLessThan(5e-6)
      }),
      { numRuns: 60 },
    )
  })

  const spec = { kind: 'Conv', group: 1, perGroup: 3, bias: true, seed: 7 }

  it('leaves alone what something else reads, what is fed and what is trained', () => {
    const shared = net(spec, (b, z) => b.output(z, 'float32'))
    expect(foldBatchNorm(shared.graph).folded).toBe(0)
    const { graph } = net(spec)
    const fed = { ...graph, inputs: [...graph.inputs, { name: 'layer.weight' }] }
    expect(foldBatchNorm(fed).folded).toBe(0)
    const nodes = graph.nodes.map((node) =>
      node.op === 'BatchNormalization' ? { ...node, outputs: ['y', 'mean', 'var'] } : node,
    )
    expect(foldBatchNorm({ ...graph, nodes }).folded).toBe(0)
  })

  it('a weight that another layer reads keeps its values there', async () => {
    const model = net(spec, (b) => b.output(b.op('Conv', ['x', 'layer.weight'], {}, { outputs: ['plain'] }), 'float32'))
    const { graph, folded } = foldBatchNorm(model.graph)
    expect(folded).toBe(1)
    expect(graph.initializers.get('layer.weight')).toBe(model.graph.initializers.get('layer.weight'))
    const { relative } = await compareModels(model, { ...model, graph }, { rng: rng(1), threads: 1 })
    expect(relative).toBeLessThan(5e-6)
  })
})

function inputsOf(golden: Golden, rows: number): { [name: string]: Tensor } {
  return tensorMap(
    Object.entries(golden.inputs).map(([name, { dims, below, mask }]) => {
      const shape = [rows, ...dims]
      const count = elementCount(shape)
      if (below === undefined && !mask) return [name, drawn(rng(5), name, shape)] as const
      const values = wholes(rng(5), name, count, below ?? 2)
      return [name, tensor('int64', shape, BigInt64Array.from(values, BigInt))] as const
    }),
  )
}

/** Of the file's first output to the logits, over the largest of them. */
async function distance(model: Model, inputs: { [name: string]: Tensor }, logits: Tensor): Promise<number> {
  const session = await InferenceSession.create(encode(model))
  const feeds = Object.fromEntries(
    session.inputNames.map((name) => {
      const { type, data, dims } = inputs[name]!
      return [name, new OrtTensor(type as 'float32', data as Float32Array, dims)]
    }),
  )
  const results = await session.run(feeds)
  const got = results[session.outputNames[0]!]!.data as Float32Array
  await session.release()
  const wanted = logits.data as Float32Array
  expect(got.length).toBe(wanted.length)
  const largest = wanted.reduce((most, z) => Math.max(most, Math.abs(z)), 0)
  return got.reduce((worst, z, i) => Math.max(worst, Math.abs(z - wanted[i]!)), 0) / largest
}
