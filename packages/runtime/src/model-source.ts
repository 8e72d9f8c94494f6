import { fileURLToPath } from 'node:url'
import { blockedDomain, decode, encode, type Graph, type Model, readModel } from '@imago/onnx'
import { ArgumentError, UnsupportedError } from '@imago/tensor'

/** A model in memory, its bytes, or where its file is. */
export type ModelSource = Model | Uint8Array | string | URL

export interface Resolved {
  readonly model: Model
  /** What ONNX Runtime loads: the bytes, or the path where weights lie in files beside the model. */
  readonly loadable: Uint8Array | string
  /** How messages name it. */
  readonly where: string
}

/**
 * Read a model by imago's own decoder first, so that a damaged file is a FormatError that says where, whatever ONNX Runtime
 * makes of it.
 */
export async function resolveSource(caller: string, source: ModelSource): Promise<Resolved> {
  if (source instanceof Uint8Array) {
    const model = decode(source)
    checkInternal('model', model)
    return { model, loadable: source, where: 'model' }
  }
  if (typeof source === 'string' || source instanceof URL) {
    const path = source instanceof URL ? fileURLToPath(source) : source
    return { model: await readModel(path), loadable: path, where: path }
  }
  if (!isModel(source))
    throw new ArgumentError(caller, 'model', 'a Model, the bytes of a model or the path of a file', source)
  return { model: source, loadable: encodeInternal(source), where: 'model' }
}

/** The bytes of a model whose weights are all inside. */
export function encodeInternal(model: Model): Uint8Array {
  checkInternal('model', model)
  return encode(model)
}

function isModel(value: unknown): value is Model {
  return typeof value === 'object' && value !== null && 'graph' in value && 'opsets' in value
}

function checkInternal(where: string, model: Model): void {
  for (const { name, external } of model.graph.initializers.values())
    if (external !== undefined)
      throw new UnsupportedError(
        where,
        `tensor "${name}" lies in the file "${external.location}" beside the model; open the model by its path, or read it with its weights (readModel)`,
      )
}

/** The bytes of a model around a graph. */
export function encodeGraph(graph: Graph, opsets: ReadonlyMap<string, number> = defaultOpsets): Uint8Array {
  return encodeInternal({
    irVersion: 8,
    opsets: new Map([...defaultOpsets, ...opsets]),
    producer: 'imago',
    graph,
    metadata: new Map(),
    functions: [],
  })
}

const defaultOpsets: ReadonlyMap<string, number> = new Map([
  ['', 17],
  ['com.microsoft', 1],
  [blockedDomain, 1],
])
