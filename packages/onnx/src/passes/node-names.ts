import type { Attribute, Graph, Node } from '../ir.js'

/** The subgraphs of a node (the branches of If, the body of Loop). */
export function subgraphs(node: Node): Graph[] {
  return [...node.attributes.values()].flatMap((attribute) =>
    attribute.kind === 'graph' ? [attribute.value] : attribute.kind === 'graphs' ? [...attribute.value] : [],
  )
}

/** Every value that a node reads: its inputs, and what its subgraphs take from around them. */
export function readsOf(node: Node): string[] {
  const own = node.inputs.filter((name) => name !== '')
  const inner = subgraphs(node)
  return inner.length === 0 ? own : [...own, ...inner.flatMap(capturesOf)]
}

/** The values that a subgraph reads and does not make itself. */
function capturesOf(graph: Graph): string[] {
  const made = new Set<string>(graph.initializers.keys())
  for (const input of graph.inputs) made.add(input.name)
  for (const node of graph.nodes) for (const output of node.outputs) made.add(output)
  const read = new Set<string>()
  for (const node of graph.nodes) for (const name of readsOf(node)) if (!made.has(name)) read.add(name)
  for (const output of graph.outputs) if (!made.has(output.name)) read.add(output.name)
  return [...read]
}

/** A node that reads other names, in its subgraphs too. Names that are not in the map stay. */
export function renameReads(node: Node, names: ReadonlyMap<string, string>): Node {
  const renamed = (name: string): string => names.get(name) ?? name
  const inputs = node.inputs.some((name) => names.has(name)) ? node.inputs.map(renamed) : node.inputs
  if (subgraphs(node).length === 0) return inputs === node.inputs ? node : { ...node, inputs }
  return { ...node, inputs, attributes: mapGraphs(node, (graph) => renameCaptures(graph, names)) }
}

/** A node's attributes with its subgraphs mapped. */
export function mapGraphs(node: Node, map: (graph: Graph) => Graph): ReadonlyMap<string, Attribute> {
  return new Map(
    Array.from(node.attributes, ([key, value]): [string, Attribute] => {
      if (value.kind === 'graph') return [key, { ...value, value: map(value.value) }]
      if (value.kind === 'graphs') return [key, { ...value, value: value.value.map(map) }]
      return [key, value]
    }),
  )
}

function renameCaptures(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const own = new Map(names)
  for (const name of graph.initializers.keys()) own.delete(name)
  for (const input of graph.inputs) own.delete(input.name)
  for (const node of graph.nodes) for (const output of node.outputs) own.delete(output)
  return {
    ...graph,
    nodes: graph.nodes.map((node) => renameReads(node, own)),
    outputs: graph.outputs.map((output) => ({ ...output, name: own.get(output.name) ?? output.name })),
  }
}
