import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encode, type Model, readModel, type ValueInfo } from '@imago/onnx'
import { openStudent, predictor } from '@imago/runtime'
import { lastLinear, specialistModel } from '@imago/specialists'
import { type Tensor, type TensorMap, tensor } from '@imago/tensor'
import { describe, expect, it } from 'vitest'

/** Classifiers as PyTorch's two exporters write them (test/golden/import says which and how), each with a specialist's head. */
const folder = fileURLToPath(new URL('../golden/import', import.meta.url))
const files = readdirSync(folder).filter((name) => name.endsWith('.onnx'))

describe.each(files)('%s', (name) => {
  it('becomes a specialist that says what it said, and can be trained', async () => {
    const model = await readModel(join(folder, name))
    const { classes, weight } = lastLinear(model)
    const inputs = feeds(model)
    const general = await logitsOf(model, inputs)
    const set = { name: 'last and first', classes: [classes - 1, 0] }
    const { model: special, constant } = specialistModel(model, { set, logits: general })
    const given = await logitsOf(special, inputs)
    expect(given.dims).toEqual([2, 3])
    // Weights in half precision are rounded once more.
    const digits = weight.type === 'float32' ? 5 : 2
    for (const r of [0, 1]) {
      const z = [...general.data.subarray(r * classes, (r + 1) * classes)]
      const rest = z.slice(1, -1)
      const dustbin = rest.reduce((a, b) => a + b) / rest.length + Math.log(rest.length) + constant
      for (const [o, expected] of [z.at(-1)!, z[0]!, dustbin].entries())
        expect(given.data[3 * r + o]).toBeCloseTo(expected, digits)
    }
    const student = await openStudent(special, { threads: 1 })
    const { outputs } = await student.differentiable.forward(student.parameters, inputs, { train: false })
    expect(outputs.logits!.dims).toEqual([2, 3])
    await student.dispose()
  })
})

/** Two rows for each input, all different. */
function feeds({ graph }: Model): TensorMap {
  const own = graph.inputs.filter(({ name }) => !graph.initializers.has(name))
  return Object.fromEntries(own.map((input) => [input.name, rows(input)]))
}

function rows({ shape = [] }: ValueInfo): Tensor {
  const dims = shape.map((size, axis) => (typeof size === 'number' ? size : axis === 0 ? 2 : 8))
  const count = dims.reduce((a, b) => a * b, 1)
  return tensor(
    'float32',
    dims,
    Float32Array.from({ length: count }, (_, i) => Math.sin(i)),
  )
}

async function logitsOf(model: Model, inputs: TensorMap): Promise<Tensor<'float32'>> {
  const predict = await predictor(encode(model), { threads: 1, gives: 'logits' })
  try {
    return (await predict(inputs)).logits as Tensor<'float32'>
  } finally {
    await predict.dispose()
  }
}
