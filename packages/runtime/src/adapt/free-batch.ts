import { type Graph, inferShapes } from '@imago/onnx'

/**
 * The graph with a free first dim where it was exported for one batch size (as PyTorch does unless told otherwise) but nothing inside
 * depends on it: with `N` for that dim the shapes still follow, and the output has N rows. Else the graph as it is.
 */
export function freeBatch(graph: Graph): { readonly graph: Graph; readonly notes: readonly string[] } {
  const sizes = new Set(graph.inputs.map((input) => input.shape?.[0]))
  const [size] = sizes
  if (sizes.size !== 1 || typeof size !== 'number') return { graph, notes: [] }
  const inputs = graph.inputs.map((input) => ({ ...input, shape: ['N', ...input.shape!.slice(1)] }))
  const shapes = Object.fromEntries(inputs.map((input) => [input.name, input.shape]))
  const outputs = graph.outputs.map(({ shape: _, ...output }) => output)
  // What the file says of intermediates was measured at its own batch size.
  const free: Graph = { ...graph, inputs, outputs, values: [] }
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
