import type { Graph, Node } from '@imago/onnx'

/** Value name → the node that makes it. */
export function producers(graph: Graph): ReadonlyMap<string, Node> {
  const made = new Map<string, Node>()
  for (const node of graph.nodes) for (const output of node.outputs) if (output !== '') made.set(output, node)
  return made
}
