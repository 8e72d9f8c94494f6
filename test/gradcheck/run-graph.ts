import { encode, type Graph } from '@imago/onnx'
import type { Tensor, TensorMap } from '@imago/tensor'
import * as ort from 'onnxruntime-node'

/** A graph on ONNX Runtime's CPU kernels. */
export interface Runner {
  run(feeds: TensorMap): Promise<TensorMap>
  release(): Promise<void>
}

export async function runner(graph: Graph, opset = 17): Promise<Runner> {
  const model = {
    irVersion: opset > 17 ? 10 : 8,
    opsets: new Map([
      ['', opset],
      ['com.microsoft', 1],
    ]),
    producer: 'imago',
    graph,
    metadata: new Map(),
    functions: [],
  }
  const session = await ort.InferenceSession.create(encode(model), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  return {
    async run(feeds) {
      const given = session.inputNames.map((name) => {
        const value = feeds[name]
        if (value === undefined) throw new Error(`no value for the input "${name}"`)
        return [name, new ort.Tensor(value.type as 'float32', value.data as Float32Array, value.dims)] as const
      })
      return (await session.run(Object.fromEntries(given))) as unknown as { [name: string]: Tensor }
    },
    release: () => session.release(),
  }
}

/** Forward, then backward with these cotangents: the outputs, and the gradients by parameter. */
export async function runProgram(
  program: {
    readonly cotangents: { readonly [output: string]: string }
    readonly gradients: { readonly [parameter: string]: string }
  },
  forward: Runner,
  backward: Runner,
  feeds: TensorMap,
  cotangents: (outputs: TensorMap) => TensorMap,
): Promise<{ readonly outputs: TensorMap; readonly gradients: TensorMap }> {
  const outputs = await forward.run(feeds)
  const seeds = Object.entries(cotangents(outputs)).map(
    ([output, value]) => [program.cotangents[output]!, value] as const,
  )
  const made = await backward.run({ ...feeds, ...outputs, ...Object.fromEntries(seeds) })
  const gradients = Object.entries(program.gradients).map(([name, output]) => [name, made[output]!] as const)
  return { outputs, gradients: Object.fromEntries(gradients) }
}
