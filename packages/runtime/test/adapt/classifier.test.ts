import { type Builder, float, floats, type Model } from '@imago/onnx'
import { tensor, UnsupportedError } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { predictor } from '../../src/index.js'
import { bias, linear, modelOf, rows, scores, weights } from '../models.js'

const count = 5
const data = { input: tensor('float32', [count, 4], rows(count)) }
const z = scores(rows(count))
const softmax = (row: number[]): number[] => {
  const e = row.map((value) => Math.exp(value))
  const sum = e.reduce((a, b) => a + b)
  return e.map((value) => value / sum)
}

const ending = (write: (b: Builder, z: string) => string): Model =>
  modelOf((b) => b.output(write(b, linear(b)), 'float32', ['N', 3]))

/** What comes out, and the notes. */
async function logitsOf(
  model: Model,
  options = {},
): Promise<{ got: number[]; notes: string; dims: readonly number[] }> {
  const predict = await predictor(model, options)
  const { logits } = await predict(data)
  await predict.dispose()
  return { got: [...(logits!.data as Float32Array)], notes: predict.notes.join('\n'), dims: logits!.dims }
}

const near = (got: number[], wanted: number[]): void => {
  expect(got.length).toBe(wanted.length)
  for (const [i, value] of wanted.entries()) expect(Math.abs(got[i]! - value)).toBeLessThan(2e-5)
}

/** Rows as distributions: logits that differ by a constant in each row are the same. */
const sameDistribution = (got: number[], wanted: number[][]): void => {
  const classes = wanted[0]!.length
  near(
    wanted.flatMap((_, r) => softmax(got.slice(r * classes, (r + 1) * classes))),
    wanted.flat(),
  )
}

describe('a model that ends in a softmax', () => {
  const cases: [string, Model][] = [
    ['Softmax', ending((b, value) => b.op('Softmax', [value], { axis: 1 }))],
    ['LogSoftmax', ending((b, value) => b.op('LogSoftmax', [value]))],
    ['Softmax, Log', ending((b, value) => b.op('Log', [b.op('Softmax', [value])]))],
    ['Softmax, Identity', ending((b, value) => b.op('Identity', [b.op('Softmax', [value])]))],
    [
      'Softmax, Reshape',
      ending((b, value) =>
        b.op('Reshape', [b.op('Softmax', [b.op('Unsqueeze', [value, b.ints([2])])], { axis: 1 }), b.ints([0, -1])]),
      ),
    ],
    [
      'Softmax over [N, C, 1, 1]',
      modelOf((b) => {
        const wide = b.op('Unsqueeze', [linear(b), b.ints([2, 3])])
        b.output(b.op('Softmax', [wide], { axis: 1 }), 'float32', ['N', 3, 1, 1])
      }),
    ],
  ]
  for (const [name, model] of cases)
    it(`gives the input of ${name}, and says so`, async () => {
      const { got, notes, dims } = await logitsOf(model)
      expect(dims).toEqual([count, 3])
      near(got, z.flat())
      expect(notes).toMatch(/ends in (Log)?Softmax .* used as logits/)
    })

  it('sees a softmax inside a function of the model', async () => {
    const model = modelOf(
      (b) => {
        b.op('Last', [linear(b)], {}, { domain: 'own', outputs: ['y'] })
        b.output('y', 'float32', ['N', 3])
      },
      [['own', 1]],
    )
    const last = {
      name: 'Last',
      domain: 'own',
      inputs: ['a'],
      outputs: ['p'],
      nodes: [{ name: '', op: 'Softmax', domain: '', inputs: ['a'], outputs: ['p'], attributes: new Map() }],
      opsets: new Map([['', 17]]),
    }
    near((await logitsOf({ ...model, functions: [last] })).got, z.flat())
  })

  it('is left alone where the softmax goes over the rows', async () => {
    const { got, notes } = await logitsOf(ending((b, value) => b.op('Softmax', [value], { axis: 0 })))
    expect(notes).not.toMatch(/used as logits/)
    for (const c of [0, 1, 2]) {
      const column = [0, 1, 2, 3, 4].map((r) => got[3 * r + c]!)
      expect(column.reduce((a, b) => a + b)).toBeCloseTo(1, 5)
    }
  })

  it('keeps logits that are logits', async () => {
    const { got, notes } = await logitsOf(ending((b, value) => b.op('Identity', [value])))
    near(got, z.flat())
    expect(notes).toBe('')
  })

  it('is told by its numbers where the softmax is written out', async () => {
    const model = ending((b, value) => {
      const e = b.op('Exp', [value])
      return b.op('Div', [e, b.op('ReduceSum', [e, b.ints([1])])])
    })
    const { got, notes } = await logitsOf(model)
    near(
      got,
      z.flatMap((row) => softmax(row).map(Math.log)),
    )
    expect(notes).toMatch(/probabilities and no softmax is to be seen/)
  })

  it('takes the caller at his word', async () => {
    const positive = ending((b, value) => b.op('Sigmoid', [b.op('Neg', [b.op('Abs', [value])])]))
    const { got } = await logitsOf(positive, { gives: 'logits' }).catch(() => ({ got: [] }))
    expect(got).toEqual([])
    const model = ending((b, value) => b.op('Softplus', [value]))
    near(
      (await logitsOf(model, { gives: 'probabilities' })).got,
      z.flat().map((value) => Math.log(Math.log1p(Math.exp(value)))),
    )
  })
})

describe('a model with one output', () => {
  const single = (finish: (b: Builder, value: string) => string, dims: (number | string)[] = ['N', 1]): Model =>
    modelOf((b) => {
      const x = b.input('input', 'float32', ['N', 4])
      const w = b.initializer('w', tensor('float32', [1, 4], weights.slice(0, 4)))
      const c = b.initializer('c', tensor('float32', [1], bias.slice(0, 1)))
      b.output(finish(b, b.op('Gemm', [x, w, c], { transB: 1 })), 'float32', dims)
    })
  const pairs = z.flatMap((row) => [0, row[0]!])

  it('becomes two logits: a sigmoid cut off', async () => {
    const { got, notes, dims } = await logitsOf(single((b, value) => b.op('Sigmoid', [value])))
    expect(dims).toEqual([count, 2])
    near(got, pairs)
    expect(notes).toMatch(/ends in Sigmoid[\s\S]*\[0, z\]/)
  })

  it('becomes two logits: rank 1', async () => {
    const model = single((b, value) => b.op('Squeeze', [b.op('Sigmoid', [value]), b.ints([1])]), ['N'])
    near((await logitsOf(model)).got, pairs)
  })

  it('becomes two logits: a sigmoid written out', async () => {
    const model = single((b, value) =>
      b.op('Div', [b.scalar(1), b.op('Add', [b.scalar(1), b.op('Exp', [b.op('Neg', [value])])])]),
    )
    sameDistribution(
      (await logitsOf(model)).got,
      z.map((row) => softmax([0, row[0]!])),
    )
  })

  it('is no probability because its first row could be one', async () => {
    // Relu of scores of which the first lies in [0, 1].
    const firsts = [...rows(count)]
    firsts.splice(0, 4, 0.5, 0, 0, 0)
    const model = single((b, value) => b.op('Relu', [value]))
    const predict = await predictor(model)
    const { logits } = await predict({ input: tensor('float32', [count, 4], Float32Array.from(firsts)) })
    const wanted = scores(firsts).flatMap((row) => [0, Math.max(0, row[0]!)])
    expect(wanted[1]).toBe(0.75)
    expect(Math.max(...wanted)).toBeGreaterThan(1)
    near([...(logits!.data as Float32Array)], wanted)
  })

  it('is refused where the sigmoid has several outputs', async () => {
    await expect(logitsOf(ending((b, value) => b.op('Sigmoid', [value])))).rejects.toThrow(UnsupportedError)
  })
})

describe('a model with several outputs', () => {
  /** As skl2onnx writes a classifier: a label and a ZipMap of probabilities. */
  const sklearn = (transform: string): Model => {
    const model = modelOf(
      (b) => {
        const x = b.input('input', 'float32', ['N', 4])
        const attributes = {
          coefficients: floats([...weights]),
          intercepts: floats([...bias]),
          classlabels_ints: [0, 1, 2],
          post_transform: transform,
        }
        const [label, raw] = b.ops('LinearClassifier', [x], attributes, {
          domain: 'ai.onnx.ml',
          outputs: ['label', 'raw'],
        })
        const normal = b.op('Normalizer', [raw!], { norm: 'L1' }, { domain: 'ai.onnx.ml' })
        b.op('ZipMap', [normal], { classlabels_int64s: [0, 1, 2] }, { domain: 'ai.onnx.ml', outputs: ['map'] })
        b.output(label!, 'int64', ['N'])
      },
      [['ai.onnx.ml', 1]],
    )
    return { ...model, graph: { ...model.graph, outputs: [...model.graph.outputs, { name: 'map' }] } }
  }

  it('skips labels and ZipMap, and takes scores before the softmax of a linear classifier', async () => {
    const { got, notes } = await logitsOf(sklearn('SOFTMAX'))
    near(got, z.flat())
    expect(notes).toMatch(/ZipMap/)
    expect(notes).toMatch(/label is passed over/)
  })

  it('takes logarithms of sigmoids that a Normalizer makes a distribution', async () => {
    const model = modelOf(
      (b) => {
        const p = b.op('Sigmoid', [linear(b)])
        b.output(b.op('Normalizer', [p], { norm: 'L1' }, { domain: 'ai.onnx.ml' }), 'float32', ['N', 3])
      },
      [['ai.onnx.ml', 1]],
    )
    const wanted = z.map((row) => {
      const p = row.map((value) => 1 / (1 + Math.exp(-value)))
      const sum = p.reduce((a, b) => a + b)
      return p.map((value) => value / sum)
    })
    const { got } = await logitsOf(model)
    near(
      got,
      wanted.flat().map((p) => Math.log(p)),
    )
  })

  it('takes logarithms of what a linear classifier normalises', async () => {
    const { got } = await logitsOf(sklearn('LOGISTIC'))
    const wanted = z.map((row) => {
      const p = row.map((value) => 1 / (1 + Math.exp(-value)))
      const sum = p.reduce((a, b) => a + b)
      return p.map((value) => value / sum)
    })
    sameDistribution(got, wanted)
  })

  it('prefers the one called logits, else the first, or the one that is asked for', async () => {
    const two = (first: string, second: string): Model =>
      modelOf((b) => {
        const value = linear(b)
        b.op('Mul', [value, b.scalar(2)], {}, { outputs: [first] })
        b.op('Mul', [value, b.scalar(3)], {}, { outputs: [second] })
        b.output(first, 'float32', ['N', 3])
        b.output(second, 'float32', ['N', 3])
      })
    const times = (k: number): number[] => z.flat().map((value) => k * value)
    near((await logitsOf(two('aux', 'logits'))).got, times(3))
    const first = await logitsOf(two('main', 'aux'))
    near(first.got, times(2))
    expect(first.notes).toMatch(/"main" was taken .* option "output"/)
    near((await logitsOf(two('main', 'aux'), { output: 'aux' })).got, times(3))
    near((await logitsOf(two('main', 'aux'), { output: 'z' })).got, times(1))
    await expect(logitsOf(two('main', 'aux'), { output: 'none' })).rejects.toThrow(/no output "none".*main, aux/)
  })

  it('is refused where all are labels', async () => {
    const label = modelOf((b) => b.output(b.op('ArgMax', [linear(b)], { axis: float(1) && 1 }), 'int64', ['N', 1]))
    await expect(logitsOf(label)).rejects.toThrow(/none holds one floating point number for each class/)
  })
})
