import { type ConstantTensor, type Graph, type Model, type Node, tensorOf } from '@imago/onnx'
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

/**
 * The model with each layer's vectors in initializers of their own. Exporters write equal tensors once: in a net that was not trained yet
 * all normalization weights and running variances are the same ones, all biases and running means the same zeros, and training would
 * move them as one. Only tensors whose elements are all equal are taken apart; a shared embedding stays shared.
 */
export function separateWeights(model: Model): { readonly model: Model; readonly notes: readonly string[] } {
  const { graph } = model
  const apart: string[] = []
  const initializers = new Map(graph.initializers)
  const taken = new Set([...initializers.keys(), ...graph.nodes.flatMap((node) => node.outputs)])
  const nodes = withoutCopies(graph, initializers, apart)
  const claimed = new Set<string>()
  const separate = nodes.map((node): Node => {
    const inputs = node.inputs.map((name, i) => {
      const constant = own[node.op]?.includes(i) ? initializers.get(name) : undefined
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
  if (constant.type !== 'float32' || constant.external !== undefined) return false
  const value = tensorOf(constant)
  return isType(value, 'float32') && value.data.every((element) => element === value.data[0])
}
