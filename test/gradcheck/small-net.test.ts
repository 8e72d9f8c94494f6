import { training, vjp } from '@imago/autodiff'
import { builder, float, type Graph } from '@imago/onnx'
import { type Tensor, tensor } from '@imago/tensor'
import { expect, test } from 'vitest'
import { distance, filled, readGolden } from './golden.js'
import { runner, runProgram } from './run-graph.js'

interface Run {
  readonly N: number
  readonly output: readonly number[]
  readonly statistics: { readonly mean: readonly number[]; readonly variance: readonly number[] }
  readonly gradients: { readonly [name: string]: readonly number[] }
}

/** The net of make.py's `small_net`; the order of the weights is the order of their seeds. */
const weights: { readonly [name: string]: readonly number[] } = {
  'conv1.weight': [4, 2, 3, 3],
  'conv1.bias': [4],
  'bn.weight': [4],
  'bn.bias': [4],
  'conv2.weight': [6, 4, 3, 3],
  'conv2.bias': [6],
  'fc1.weight': [5, 24],
  'fc1.bias': [5],
  'fc2.weight': [3, 5],
  'fc2.bias': [3],
}

function net(): Graph {
  const b = builder()
  b.input('x', 'float32', ['N', 2, 8, 8])
  for (const [name, dims] of Object.entries(weights)) b.initializer(name, weight(name, dims))
  const [mean, variance] = ['bn.mean', 'bn.variance'].map((name) =>
    b.initializer(name, tensor('float32', [4], Float32Array.of(0, 0, 0, 0))),
  )
  const pads = [1, 1, 1, 1]
  let h = b.op('Conv', ['x', 'conv1.weight', 'conv1.bias'], { pads })
  h = b.op('BatchNormalization', [h, 'bn.weight', 'bn.bias', mean!, variance!], { epsilon: float(1e-3) })
  h = b.op('MaxPool', [b.op('Relu', [h])], { kernel_shape: [2, 2], strides: [2, 2] })
  h = b.op('Relu', [b.op('Conv', [h, 'conv2.weight', 'conv2.bias'], { pads })])
  h = b.op('Flatten', [b.op('AveragePool', [h], { kernel_shape: [2, 2], strides: [2, 2] })])
  h = b.op('Relu', [b.op('Gemm', [h, 'fc1.weight', 'fc1.bias'], { transB: 1 })])
  h = b.op('Dropout', [h, b.constant(tensor('float32', [], Float32Array.of(0.5)))], {}, { outputs: ['dropped'] })
  h = b.op('Gemm', [h, 'fc2.weight', 'fc2.bias'], { transB: 1 })
  b.output(b.op('LogSoftmax', [h], { axis: 1 }, { outputs: ['y'] }))
  return b.graph()
}

function weight(name: string, dims: readonly number[]): Tensor<'float32'> {
  const made = filled(dims, Object.keys(weights).indexOf(name) + 2)
  return tensor(
    'float32',
    dims,
    made.data.map((value) => value / 4),
  )
}

// The backward graph says nothing that changed from opset 17 on: a student keeps the opset of its file.
test.each([17, 21])(
  'a whole net in training form, opset %i: outputs, statistics and gradients as PyTorch has them',
  async (opset) => {
    const form = training(net())
    const program = vjp(form.graph, { ...form, wrt: ['x', ...Object.keys(weights)] })
    const forward = await runner(program.forward, opset)
    const backward = await runner(program.backward, opset)
    for (const run of (readGolden('small-net') as { runs: readonly Run[] }).runs) {
      const mask = filled([run.N, 5], 77)
      const feeds = {
        ...Object.fromEntries(Object.entries(weights).map(([name, dims]) => [name, weight(name, dims)] as const)),
        x: filled([run.N, 2, 8, 8], 1),
        'dropout:dropped': tensor(
          'float32',
          mask.dims,
          mask.data.map((value) => (value > 0 ? 2 : 0)),
        ),
      }
      const dY = filled([run.N, 3], 99)
      const { outputs, gradients } = await runProgram(program, forward, backward, feeds, () => ({ y: dY }))
      expect(distance(outputs.y!, run.output)).toBeLessThan(1e-5)
      const [mean, variance] = program.statistics
      expect(mean).toMatchObject({ parameter: 'bn.mean', perRow: 0 })
      expect(variance).toMatchObject({ parameter: 'bn.variance', perRow: 64 })
      expect(distance(outputs[mean!.value]!, run.statistics.mean)).toBeLessThan(1e-5)
      expect(distance(outputs[variance!.value]!, run.statistics.variance)).toBeLessThan(1e-5)
      for (const [name, expected] of Object.entries(run.gradients)) {
        // A bias before BatchNormalization has no effect: its gradient is rounding, here and there.
        if (name === 'conv1.bias') expect(Math.hypot(...(gradients[name]!.data as Float32Array))).toBeLessThan(1e-4)
        else expect(distance(gradients[name]!, expected), `${name} at N = ${run.N}`).toBeLessThan(3e-5)
      }
    }
    await forward.release()
    await backward.release()
  },
)
