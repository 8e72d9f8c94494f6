import { training, vjp } from '@imago/autodiff'
import { blockConvolutions, blockedDomain, builder, encode, type Graph, liftWeights, type Model } from '@imago/onnx'
import { compareModels, openDifferentiable, openStudent } from '@imago/runtime'
import { elementCount, rng, type Tensor, tensor, tensorMap } from '@imago/tensor'
import fc from 'fast-check'
import { InferenceSession } from 'onnxruntime-node'
import { expect, it } from 'vitest'

function around(graph: Graph): Model {
  const opsets = new Map([
    ['', 17],
    [blockedDomain, 1],
  ])
  return { irVersion: 8, opsets, producer: '', graph, metadata: new Map(), functions: [] }
}

function drawn(seed: number, dims: readonly number[], scale = 1): Tensor<'float32'> {
  const random = rng(seed)
  return tensor(
    'float32',
    dims,
    Float32Array.from({ length: elementCount(dims) }, () => scale * random.normal()),
  )
}

/** A convolution of fed weights, as a student's graphs have it. */
function convolution(
  out: number,
  perGroup: number,
  group: number,
  size: number,
  attributes: object,
  bias = true,
): Graph {
  const b = builder()
  const x = b.input('x', 'float32', ['N', group * perGroup, size, size + 1])
  const inputs = [x, b.input('w', 'float32', [out, perGroup, 3, 3]), ...(bias ? [b.input('b', 'float32', [out])] : [])]
  b.output(b.op('Conv', inputs, { group, ...attributes }, { outputs: ['y'] }), 'float32')
  return b.graph()
}

const ops = (graph: Graph): string[] => graph.nodes.map(({ op }) => op)

/** The block of this machine, by another way than the one that is tested: what ONNX Runtime's own optimizer does not complain of. */
async function blockHere(): Promise<number | undefined> {
  for (const block of [16, 8]) {
    const graph = convolution(32, 1, 32, 5, {})
    const same = await compareModels(around(graph), around(blockConvolutions(graph, { block })), {
      rng: rng(1),
      threads: 1,
    }).catch(() => undefined)
    if (same !== undefined && same.relative < 1e-4) return block
  }
  return undefined
}

const block = await blockHere()
if (block === undefined) console.log('skipped: blocked convolutions: ONNX Runtime has none on this processor')

it.skipIf(block === undefined)(
  'gives what Conv gives: depthwise and dense, strides, dilations, pads, ragged batches',
  async () => {
    const spec = fc.record({
      channels: fc.integer({ min: 1, max: 3 }).map((blocks) => blocks * block!),
      dense: fc.boolean(),
      stride: fc.integer({ min: 1, max: 2 }),
      dilation: fc.integer({ min: 1, max: 2 }),
      pads: fc.tuple(...[0, 0, 0, 0].map(() => fc.integer({ min: 0, max: 2 }))),
      bias: fc.boolean(),
      rows: fc.integer({ min: 1, max: 3 }),
      seed: fc.nat(),
    })
    await fc.assert(
      fc.asyncProperty(spec, async ({ channels, dense, stride, dilation, pads, bias, rows, seed }) => {
        const attributes = { strides: [stride, stride], dilations: [dilation, dilation], pads: [...pads] }
        const graph = convolution(
          channels,
          dense ? channels : 1,
          dense ? 1 : channels,
          dense ? 20 : 6,
          attributes,
          bias,
        )
        const lowered = blockConvolutions(graph, { block: block! })
        // Of dense ones those with 256 results or more.
        const [top, left, bottom, right] = pads
        const steps = (size: number, padding: number): number =>
          Math.floor((size + padding - 2 * dilation - 1) / stride) + 1
        const pixels = steps(20, top! + bottom!) * steps(21, left! + right!)
        expect(ops(lowered).includes('ReorderInput')).toBe(!dense || pixels >= 256)
        const { relative } = await compareModels(around(graph), around(lowered), {
          rng: rng(seed),
          threads: 1,
          dims: { N: rows },
        })
        expect(relative).toBeLessThan(1e-5)
      }),
      { numRuns: 40 },
    )
  },
)

it('leaves alone what the blocks do not fit or where the table says that it does not pay', () => {
  const kept = [
    convolution(24, 1, 24, 6, {}),
    convolution(32, 24, 1, 20, {}),
    convolution(32, 32, 1, 6, {}),
    convolution(32, 32, 1, 20, { strides: [2, 2] }),
    convolution(32, 2, 16, 20, {}),
  ]
  for (const graph of kept) expect(ops(blockConvolutions(graph, { block: 16 }))).toEqual(['Conv'])
})

it('a student trains as without: outputs and gradients of a net of both kinds, the batch open', async () => {
  const b = builder()
  let value = b.input('input', 'float32', ['N', 3, 18, 16])
  const weight = (name: string, dims: readonly number[]): string => b.initializer(name, drawn(dims.length, dims, 0.2))
  value = b.op('Conv', [value, weight('stem', [32, 3, 3, 3]), weight('stem.bias', [32])], { pads: [1, 1, 1, 1] })
  value = b.op('Conv', [b.op('Tanh', [value]), weight('deep', [32, 1, 3, 3])], { pads: [1, 1, 1, 1], group: 32 })
  value = b.op('Conv', [b.op('Tanh', [value]), weight('dense', [32, 32, 3, 3])], { pads: [1, 1, 1, 1] })
  value = b.op('Conv', [b.op('Tanh', [value]), weight('even', [32, 1, 3, 3])], {
    pads: [1, 1, 1, 1],
    strides: [2, 2],
    group: 32,
  })
  value = b.op('Flatten', [b.op('GlobalAveragePool', [b.op('Tanh', [value])])])
  b.output(b.op('MatMul', [value, weight('head', [32, 5])], {}, { outputs: ['logits'] }), 'float32', ['N', 5])
  const model = around(b.graph())

  const asked: string[] = []
  const create = InferenceSession.create
  const spy = (async (bytes: Uint8Array, options: object) => {
    asked.push(Buffer.from(bytes).toString('latin1'))
    return create.call(InferenceSession, bytes as never, options)
  }) as typeof create
  InferenceSession.create = spy
  const student = await openStudent(encode(model), { threads: 1 })
  InferenceSession.create = create
  const names = Object.keys(student.differentiable.parameters)
  const form = training(model.graph)
  const plain = await openDifferentiable(vjp(form.graph, { ...form, wrt: names }), { threads: 1 })
  const { parameters } = liftWeights(model.graph, names)
  for (const rows of [4, 1]) {
    const inputs = { input: drawn(7, [rows, 3, 18, 16]) }
    const seed = drawn(8, [rows, 5])
    const [ours, theirs] = await Promise.all(
      [student.differentiable, plain].map(async (one) => {
        const { outputs, pullback } = await one.forward(parameters, inputs)
        return tensorMap([...Object.entries(outputs), ...Object.entries(await pullback({ logits: seed }))])
      }),
    )
    for (const name in theirs) expect(far(ours![name]!, theirs[name]!), `${name}, ${rows} rows`).toBeLessThan(1e-5)
  }
  // Of the student's two graphs both have blocks, where the processor has them.
  expect(asked.slice(-2).map((bytes) => bytes.includes('ReorderInput'))).toEqual([
    block !== undefined,
    block !== undefined,
  ])
  await Promise.all([student.dispose(), plain.dispose()])
})

function far(got: Tensor, wanted: Tensor): number {
  const [a, b] = [got.data as Float32Array, wanted.data as Float32Array]
  const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0) / largest
}
