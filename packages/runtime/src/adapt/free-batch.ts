import { type ConstantTensor, constantOf, type Graph, inferShapes, type Node, tensorOf } from '@imago/onnx'
import { isType } from '@imago/tensor'

/**
 * The graph with a free first dim where it was exported for one batch size (as PyTorch does unless told otherwise) but nothing inside
 * depends on it: with `N` for that dim the shapes still follow, and the output has N rows. Else the graph as it is.
 *
 * A constant target shape of Reshape that spells the batch size gets a 0 ("as the input's") there; fold constants first.
 */
export function freeBatch(graph: Graph): { readonly graph: Graph; readonly notes: readonly string[] } {
  const sizes = new Set(graph.inputs.map((input) => input.shape?.[0]))
  const [size] = sizes
  if (sizes.size !== 1 || typeof size !== 'number') return { graph, notes: [] }
  const inputs = graph.inputs.map((input) => ({ ...input, shape: ['N', ...input.shape!.slice(1)] }))
  const shapes = Object.fromEntries(inputs.map((input) => [input.name, input.shape]))
  const outputs = graph.outputs.map(({ shape: _, ...output }) => output)
  // What the file says of intermediates was measured at its own batch size.
  const free: Graph = { ...copyingReshapes(graph, size), inputs, outputs, values: [] }
  if (!rowsFollow(free, shapes))
    return {
      graph,
      notes: [`the model is made for batches of ${size} rows; export it with a free batch dim to train with others`],
    }
  return { graph: free, notes: [`the model was exported for batches of ${size} rows; any number is taken`] }
}

function rowsFollow(graph: Graph, inputs: { readonly [name: string]: readonly (number | string)[] }): boolean {
  try {
    const known = inferShapes(graph, { inputs })
    return graph.outputs.every((output) => known.get(output.name)?.shape?.[0] === 'N')
  } catch {
    return false
  }
}

/** At the batch size of the file each of these Reshapes gives what it gave. */
function copyingReshapes(graph: Graph, size: number): Graph {
  const known = inferShapes(graph)
  const initializers = new Map(graph.initializers)
  const nodes = graph.nodes.map((node): Node => {
    const [data = '', target = ''] = node.inputs
    const constant = initializers.get(target)
    if (node.op !== 'Reshape' || constant === undefined || known.get(data)?.shape?.[0] !== size) return node
    const copying = withZero(constant, size)
    if (copying === undefined) return node
    // A copy of its own: other nodes may read the same shape.
    let name = `${target}_any_batch`
    while (initializers.has(name)) name += '_'
    initializers.set(name, { ...copying, name })
    return { ...node, inputs: [data, name] }
  })
  return { ...graph, nodes, initializers }
}

function withZero(constant: ConstantTensor, size: number): ConstantTensor | undefined {
  const value = tensorOf(constant)
  if (!isType(value, 'int64') || value.data[0] !== BigInt(size)) return undefined
  return constantOf(constant.name, { ...value, data: BigInt64Array.of(0n, ...value.data.subarray(1)) })
}
