import { attribute } from '../attributes.js'
import { typeCode } from '../data-types.js'
import type { ConstantTensor, Model, Node } from '../ir.js'
import { namesOf, uniqueIn } from '../opset/rewriter.js'
import { readsOf, renameReads } from './node-names.js'

export interface HalfWeightsOptions {
  /** A float32 constant rounded to float16. */
  readonly round: (constant: ConstantTensor) => ConstantTensor
}

/**
 * The model with its matrices and kernels in half precision and a Cast to float32 behind each: half the file, the same float32
 * inputs, outputs and arithmetic. Runtimes compute the Cast once, when the model is loaded. Vectors (biases, scales, statistics) stay: they are few, and
 * a running variance may be below what half precision can hold.
 */
export function halfWeights(model: Model, { round }: HalfWeightsOptions): Model {
  const { graph } = model
  // What is fed, or is itself a result, keeps its type.
  const faces = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name))
  const read = new Set(graph.nodes.flatMap(readsOf))
  const names = namesOf(graph)
  const wide = new Map<string, string>()
  const casts: Node[] = []
  const initializers = new Map(graph.initializers)
  for (const [name, constant] of graph.initializers) {
    if (constant.type !== 'float32' || constant.dims.length < 2 || faces.has(name) || !read.has(name)) continue
    initializers.set(name, round(constant))
    const output = uniqueIn(names, `${name}.float32`)
    wide.set(name, output)
    const attributes = new Map([['to', attribute(typeCode('float32'))]])
    casts.push({ name: '', op: 'Cast', domain: '', inputs: [name], outputs: [output], attributes })
  }
  const nodes = [...casts, ...graph.nodes.map((node) => renameReads(node, wide))]
  return { ...model, graph: { ...graph, nodes, initializers } }
}
