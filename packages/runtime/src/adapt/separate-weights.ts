import {
  type ConstantTensor,
  type Graph,
  type Model,
  type Node,
  parameterNames,
  tensorOf,
  topologicalSort,
} from '@imago/onnx'
import { isType } from '@imago/tensor'

/** Inputs that are a layer's own vector: affine weights, running statistics, biases. */
const own: { readonly [op: string]: readonly number[] } = {
  BatchNormalization: [1, 2, 3, 4],
  Conv: [2],
  ConvTranspose: [2],
  Gemm: [2],
  GroupNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
}

/** Ops that take a bias or a scale, or any other constant. */
const loose = new Set(['Add', 'Mul'])

/**
 * The model with each layer's vectors in initializers of their own. Exporters write equal tensors once: in a net that was not trained yet
 * all normalization weights and running variances are the same ones, all biases and running means the same zeros, and training would
 * move them as one. Only tensors whose elements are all equal are taken apart; a shared embedding stays shared. A vector that Add or Mul takes is
 * a layer's own if it is a weight at all (`parameterNames`).
 */
export function separateWeights(model: Model): { readonly model: Model; readonly notes: readonly string[] } {
  const { graph } = model
  const apart: string[] = []
  const initializers = new Map(graph.initializers)
  const taken = new Set([...initializers.keys(), ...graph.nodes.flatMap((node) => node.outputs)])
  const nodes = withoutCopies(graph, initializers, apart)
  const claimed = new Set<string>()
  const weights = new Set(
    graph.nodes.some((node) => loose.has(node.op)) ? parameterNames(topologicalSort({ ...graph, nodes })) : [],
  )
  const isOwn = (node: Node, name: string, i: number): boolean =>
    (Object.hasOwn(own, node.op) && own[node.op]!.includes(i)) ||
    (loose.has(node.op) && weights.has(name) && initializers.get(name)?.dims.length === 1)
  const separate = nodes.map((node): Node => {
    const inputs = node.inputs.map((name, i) => {
      const constant = isOwn(node, name, i) ? initializers.get(name) : undefined
      if (constant === undefined || !isUniform(constant)) return name
      if (!claimed.has(name)) {
        claimed.add(name)
        return name
      }
      let copy = `${name}.${i}`
      for (let count = 2; taken.has(copy); count++) copy = `${name}.${i}.${count}`
      taken.add(copy)
      claimed.add(copy)
      initializers.set(copy, { ...constant, name: copy })
      apart.push(copy)
      return copy
    })
    return inputs.some((name, i) => name !== node.inputs[i]) ? { ...node, inputs } : node
  })
  if (apart.length === 0) return { model, notes: [] }
  const note = `${apart.length} vectors that the file holds once for several layers, being equal so far, are separate now: ${apart.slice(0, 4).join(', ')}${apart.length > 4 ? ', …' : ''}`
  return { model: { ...model, graph: { ...graph, nodes: separate, initializers } }, notes: [note] }
}

/** Identity of an initializer, under the name that the vector had before it was merged, becomes an initializer again. */
function withoutCopies(graph: Graph, initializers: Map<string, ConstantTensor>, apart: string[]): readonly Node[] {
  const outputs = new Set(graph.outputs.map((output) => output.name))
  return graph.nodes.filter((node) => {
    const [source = ''] = node.inputs
    const [name = ''] = node.outputs
    const constant = node.op === 'Identity' && !outputs.has(name) ? initializers.get(source) : undefined
    if (constant === undefined || !isUniform(constant)) return true
    initializers.set(name, { ...constant, name })
    apart.push(name)
    return false
  })
}

function isUniform(constant: ConstantTensor): boolean {
  if (!/^b?float(16|32)$/.test(constant.type) || constant.external !== undefined) return false
  const value = tensorOf(constant)
  const alike = (data: Float32Array | Uint16Array): boolean => data.every((element) => element === data[0])
  return (
    (isType(value, 'float32') && alike(value.data)) ||
    (isType(value, 'float16') && alike(value.data)) ||
    (isType(value, 'bfloat16') && alike(value.data))
  )
}
