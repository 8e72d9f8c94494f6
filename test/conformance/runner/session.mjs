import { encode } from '@imago/onnx'
import * as ort from 'onnxruntime-node'

const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 4, enableMemPattern: false }

/** Outputs of a model (its bytes, or an imago model) for these feeds, by name: `{ type, dims, data }`. */
export async function run(model, feeds) {
  const bytes = model instanceof Uint8Array ? model : encode(model)
  const session = await ort.InferenceSession.create(bytes, options)
  try {
    const given = session.inputNames.flatMap((name) => {
      const value = feeds.get(name)
      return value === undefined ? [] : [[name, new ort.Tensor(value.type, value.data, value.dims)]]
    })
    const made = await session.run(Object.fromEntries(given))
    return new Map(Object.entries(made).map(([name, { type, dims, data }]) => [name, { type, dims, data }]))
  } finally {
    await session.release()
  }
}

/** A graph that imago made, as a model of its own. */
export function modelOf(graph, opsets) {
  const all = new Map([...opsets, ['com.microsoft', 1]])
  return { irVersion: 10, opsets: all, producer: 'imago', graph, metadata: new Map(), functions: [] }
}
