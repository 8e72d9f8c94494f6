import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { decode, type Model, readModel, tensorOf } from '@imago/onnx'
import { inspectStudent, open, openStudent, type Student } from '@imago/runtime'
import { clone, rng, type Tensor, type TensorMap, tensor, tensorMap } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { filled, type Golden } from '../golden/students/golden.js'

/** Files that PyTorch's exporters wrote (test/golden/import/make.py), one for each thing that they do to a model. */
const path = (name: string): string => fileURLToPath(new URL(`../golden/import/${name}`, import.meta.url))
const read = (name: string): Promise<Model> => readModel(path(name))

function drawn(dims: readonly number[], seed: number): Tensor<'float32'> {
  const random = rng(seed)
  const count = dims.reduce((a, b) => a * b, 1)
  return tensor(
    'float32',
    dims,
    Float32Array.from({ length: count }, () => random.normal()),
  )
}

/** Some plain steps down ½·Σ(z − 1)²/rows; the parameters before and after. */
async function steps(student: Student, input: Tensor, count = 3): Promise<{ before: TensorMap; after: TensorMap }> {
  const { parameters, differentiable } = student
  const before = tensorMap(Object.entries(parameters).map(([name, value]) => [name, clone(value)]))
  const rows = input.dims[0]!
  for (let step = 0; step < count; step++) {
    const { outputs, updates, pullback } = await differentiable.forward(parameters, { x: input }, { rng: rng(step) })
    const z = outputs.logits as Tensor<'float32'>
    const gradients = await pullback({ logits: { ...z, data: z.data.map((value) => (value - 1) / rows) } })
    for (const name in gradients) {
      const weight = parameters[name]!.data as Float32Array
      const gradient = gradients[name]!.data as Float32Array
      for (let i = 0; i < weight.length; i++) weight[i]! -= 0.1 * gradient[i]!
    }
    for (const name in updates) (parameters[name]!.data as Float32Array).set(updates[name]!.data as Float32Array)
  }
  return { before, after: parameters }
}

const isMoved = ({ before, after }: { before: TensorMap; after: TensorMap }, name: string): boolean =>
  (after[name]!.data as Float32Array).some((value, i) => value !== (before[name]!.data as Float32Array)[i])

const images = drawn([6, 1, 8, 8], 1)

async function afterSteps(source: string | Model): Promise<TensorMap> {
  const student = await openStudent(typeof source === 'string' ? path(source) : source, { threads: 1 })
  const { after } = await steps(student, images)
  await student.dispose()
  return after
}

function expectClose(got: TensorMap, wanted: TensorMap): void {
  expect(Object.keys(got).sort()).toEqual(Object.keys(wanted).sort())
  for (const name in wanted)
    for (const [i, value] of (wanted[name]!.data as Float32Array).entries())
      expect(Math.abs((got[name]!.data as Float32Array)[i]! - value), name).toBeLessThan(2e-6)
}

describe('a module trains the same from whatever file it comes', () => {
  it.each([
    ['functions.onnx', 'plain.onnx'],
    ['external.dynamo.onnx', 'plain.dynamo.onnx'],
  ])('%s as %s', async (file, plain) => {
    expectClose(await afterSteps(file), await afterSteps(plain))
  })

  it('the functions of a model are inlined, and said to be', async () => {
    const model = await read('functions.onnx')
    expect(model.functions.map((one) => one.name)).toEqual(['BatchNorm2d'])
    const { nodes, notes, obstacles } = inspectStudent(model)
    expect(nodes.filter(({ node }) => node.op === 'BatchNormalization').map(({ answer }) => answer)).toEqual([
      'rule',
      'rule',
    ])
    expect(notes.join('\n')).toContain('functions (BatchNorm2d) are inlined')
    expect(obstacles).toEqual([])
  })

  it('weights outside the file are read from beside it, and are inside what is saved', async () => {
    const inside = decode(readFileSync(path('external.dynamo.onnx')))
    expect([...inside.graph.initializers.values()].some((constant) => constant.external !== undefined)).toBe(true)
    const student = await openStudent(path('external.dynamo.onnx'), { threads: 1 })
    const saved = student.save(student.parameters)
    expect([...saved.graph.initializers.values()].every((constant) => constant.external === undefined)).toBe(true)
    await student.dispose()
    // Without its folder the model says what is missing.
    await expect(openStudent(inside)).rejects.toThrow(/external\.dynamo\.onnx\.data/)
  })
})

describe('what an exporter folded, merged or tied', () => {
  it.each(['folded.onnx', 'folded.dynamo.onnx'])('%s: folded normalizations are found and explained', async (file) => {
    const { nodes, notes, obstacles } = inspectStudent(await read(file))
    expect(nodes.some(({ node }) => node.op === 'BatchNormalization')).toBe(false)
    expect(notes.join('\n')).toMatch(
      /BatchNormalization is folded into Conv.*Conv.*optimize=False.*do_constant_folding/,
    )
    expect(obstacles).toEqual([])
  })

  it('a file as it should be has no such notes, but that it is in training mode', async () => {
    expect(inspectStudent(await read('plain.onnx')).notes).toEqual([
      expect.stringMatching(/^exported in training mode.*imago export --optimize/),
    ])
  })

  it('vectors that were merged because they were equal train apart', async () => {
    const model = await read('merged.dynamo.onnx')
    const { notes, weights } = inspectStudent(model)
    const text = notes.join('\n')
    expect(text).toMatch(/5 vectors that the file holds once for several layers/)
    expect(text).toMatch(/lost a bias that was 0/)
    expect(text).toMatch(/val_1, val_4, val_94 and 1 more are weights that the exporter computed/)
    // linear2.bias; embed.bias, which is that of a Linear and of three norms; layer.norm1.weight, the scale of three.
    expect(weights.filter(({ dims }) => dims.join() === '6').length).toBe(1 + 4 + 3)
    const student = await openStudent(model, { threads: 1 })
    const run = await steps(student, drawn([4, 5, 4], 2))
    const biases = Object.keys(run.after).filter((name) => name.startsWith('embed.bias'))
    expect(biases.length).toBe(4)
    const values = biases.map((name) => [...(run.after[name]!.data as Float32Array)].join())
    expect(new Set(values).size).toBe(4)
    await student.dispose()
  })

  it('the scales of 1 that group normalization is spelled with are no weights', async () => {
    const model = await read('grouped.dynamo.onnx')
    expect(model.graph.nodes.some((node) => node.op === 'InstanceNormalization')).toBe(true)
    const { weights } = inspectStudent(model)
    // The module's own scale and shift got names and dims from the exporter: [4, 1, 1].
    expect(weights.map(({ name }) => name).sort()).toEqual(
      ['conv.weight', 'conv.bias', 'head.weight', 'head.bias', 'val_21', 'val_23'].sort(),
    )
  })

  it.each(['tied.onnx', 'tied.dynamo.onnx'])(
    '%s: a matrix of two layers is one weight with both gradients',
    async (file) => {
      const model = await read(file)
      const { notes, weights } = inspectStudent(model)
      const name = file === 'tied.onnx' ? 'words.weight' : 'decode.weight'
      expect(notes.join('\n')).toMatch(new RegExp(`"${name}" is one weight that .*Gather.* read; it is trained as one`))
      expect(weights.length).toBe(3)
      const student = await openStudent(model, { threads: 1 })
      const { parameters, differentiable } = student
      const ids = tensor('int64', [2, 5], BigInt64Array.from([0, 1, 2, 3, 4, 4, 3, 1, 0, 2], BigInt))
      const total = async (): Promise<number> => {
        const { outputs } = await differentiable.forward(parameters, { x: ids })
        return (outputs.logits!.data as Float32Array).reduce((sum, z, i) => sum + z * Math.sin(i), 0)
      }
      const { outputs, pullback } = await differentiable.forward(parameters, { x: ids })
      const z = outputs.logits as Tensor<'float32'>
      const gradients = await pullback({ logits: { ...z, data: z.data.map((_, i) => Math.sin(i)) } })
      const gradient = Float64Array.from(gradients[name]!.data as Float32Array)
      const weight = parameters[name]!.data as Float32Array
      for (const at of [1, 7, 14, 30]) {
        const kept = weight[at]!
        weight[at] = kept + 1e-2
        const up = await total()
        weight[at] = kept - 1e-2
        const down = await total()
        weight[at] = kept
        expect(Math.abs((up - down) / 2e-2 - gradient[at]!)).toBeLessThan(2e-3)
      }
      await student.dispose()
    },
  )
})

describe('half precision', () => {
  it.each(['half.onnx', 'half.dynamo.onnx'])('%s trains in float32 and is saved in half', async (file) => {
    const model = await read(file)
    const student = await openStudent(model, { threads: 1 })
    expect(student.notes.join('\n')).toMatch(/13 weights are float16: they are trained in float32/)
    // The same module in float32: half a step of half precision apart.
    const plain = await openStudent(path(file.replace('half', 'plain')), { threads: 1 })
    const [got, wanted] = await Promise.all(
      [student, plain].map(
        async (one) => (await one.predict(one.parameters)({ x: images })).logits!.data as Float32Array,
      ),
    )
    for (const [i, value] of wanted!.entries()) expect(Math.abs(got![i]! - value)).toBeLessThan(2e-3)
    await plain.dispose()

    const run = await steps(student, images)
    expect(isMoved(run, 'head.weight') && isMoved(run, 'norm.running_var')).toBe(true)
    const saved = student.save(run.after)
    expect([...saved.graph.initializers.values()].every((constant) => constant.type !== 'float32')).toBe(true)
    expect(saved.graph.nodes).toEqual(model.graph.nodes)
    const logits = (await student.predict(run.after)({ x: images })).logits!.data as Float32Array
    const again = await openStudent(saved, { threads: 1 })
    const rounded = (await again.predict(again.parameters)({ x: images })).logits!.data as Float32Array
    for (const [i, value] of logits.entries()) expect(Math.abs(rounded[i]! - value)).toBeLessThan(2e-3)
    await again.dispose()

    const huge = { ...run.after, 'head.bias': tensor('float32', [3], Float32Array.of(0, 70_000, 0)) }
    expect(() => student.save(huge)).toThrow(/70000 in "head.bias" at element 1, which float16 cannot hold/)
    await student.dispose()
  })

  it('the saved file runs in ONNX Runtime, in half precision', async () => {
    const student = await openStudent(path('half.onnx'), { threads: 1 })
    const { after } = await steps(student, images)
    const session = await open(student.save(after))
    expect(session.inputs.map((input) => input.type)).toEqual(['float16'])
    await Promise.all([session.dispose(), student.dispose()])
  })
})

describe('what stays as it is', () => {
  it('weights by pattern, and the statistics of the same name', async () => {
    const student = await openStudent(path('plain.onnx'), { threads: 1, freeze: /encoder.*/ })
    const run = await steps(student, images)
    for (const name of Object.keys(run.after)) expect([name, isMoved(run, name)]).toEqual([name, true])
    // Frozen tensors are no parameters; they are saved as they were.
    expect(Object.keys(run.after).filter((name) => name.startsWith('encoder'))).toEqual([])
    const saved = student.save(run.after).graph.initializers
    const given = (await read('plain.onnx')).graph.initializers
    for (const name of given.keys())
      if (name.startsWith('encoder')) expect(tensorOf(saved.get(name)!)).toEqual(tensorOf(given.get(name)!))
    await student.dispose()

    const { weights } = inspectStudent(await read('plain.onnx'), { freeze: /encoder.*/ })
    const roles = Object.fromEntries(weights.map(({ name, role }) => [name, role]))
    expect(roles).toMatchObject({
      'encoder.0.weight': 'frozen',
      'conv.weight': 'trained',
      'norm.running_var': 'statistic',
    })
    expect(roles).not.toHaveProperty('encoder.1.running_var')
  })

  it('all statistics: training then normalises as inference does', async () => {
    const student = await openStudent(path('plain.onnx'), { threads: 1, batchNorm: 'frozen' })
    const trained = await student.differentiable.forward(student.parameters, { x: images })
    const logits = Float32Array.from(trained.outputs.logits!.data as Float32Array)
    expect(Object.keys(trained.updates)).toEqual([])
    const predicted = (await student.predict(student.parameters)({ x: images })).logits!.data as Float32Array
    for (const [i, value] of predicted.entries()) expect(Math.abs(logits[i]! - value)).toBeLessThan(1e-6)
    await student.dispose()
  })
})

it('what is fused to train is in the file as it was given', async () => {
  const students = new URL('../golden/students/', import.meta.url)
  const golden = JSON.parse(readFileSync(new URL('vit-mean.json', students), 'utf8')) as Golden
  const model = decode(
    filled(readFileSync(new URL('vit-mean.onnx', students)), golden, rng(golden.seed).split('vit-mean')),
  )
  const trained = inspectStudent(model).nodes.map(({ node }) => node.op)
  expect(trained.filter((op) => op === 'LayerNormalization').length).toBe(5)
  expect(trained.filter((op) => op === 'Gelu').length).toBe(2)
  const student = await openStudent(model, { threads: 1 })
  const { graph } = student.save(student.parameters)
  expect(graph.nodes).toEqual(model.graph.nodes)
  expect([...graph.initializers.keys()]).toEqual([...model.graph.initializers.keys()])
  await student.dispose()
})

it('chains of Shape, Gather and Concat before a Reshape are folded with the batch open', () => {
  const students = new URL('../golden/students/', import.meta.url)
  const golden = JSON.parse(readFileSync(new URL('transformer-encoder.json', students), 'utf8')) as Golden
  const bytes = readFileSync(new URL('transformer-encoder.onnx', students))
  const model = decode(filled(bytes, golden, rng(golden.seed).split('transformer-encoder')))
  const { nodes, notes, obstacles } = inspectStudent(model)
  expect(model.graph.nodes.filter((node) => node.op === 'Shape').length).toBeGreaterThan(10)
  expect(nodes.some(({ node }) => node.op === 'Shape')).toBe(false)
  expect(notes.join('\n')).toMatch(/computations of shapes are folded; the batch stays open/)
  expect(obstacles).toEqual([])
})
