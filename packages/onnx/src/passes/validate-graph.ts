import { describe, FormatError } from '@imago/tensor'
import { nodeLabel } from '../attributes.js'
import type { Graph, Node } from '../ir.js'
import { subgraphs } from './node-names.js'
import { topologicalSort } from './topological-sort.js'

/**
 * Check what every pass relies on: each value is made once, whatever is read is made, and nothing depends on itself. Linear in
 * the size of the graph; nodes may be in any order.
 * @throws FormatError naming the node and the value
 */
export function validateGraph(graph: Graph): void {
  check(graph, new Set())
}

function check(graph: Graph, around: Set<string>): void {
  const made = new Map<string, string>()
  const make = (name: string, by: string): void => {
    const first = made.get(name) ?? (around.has(name) ? 'the graph around' : undefined)
    if (first !== undefined)
      throw new FormatError(by, `makes the value ${describe(name)}, which ${first} makes as well`)
    made.set(name, by)
  }
  for (const input of graph.inputs) make(input.name, `graph input ${describe(input.name)}`)
  for (const name of graph.initializers.keys()) if (!made.has(name)) make(name, `initializer ${describe(name)}`)
  for (const node of graph.nodes) for (const output of node.outputs) if (output !== '') make(output, nodeLabel(node))

  const isMade = (name: string): boolean => name === '' || made.has(name) || around.has(name)
  for (const node of graph.nodes) {
    if (node.op === '') throw new FormatError(nodeLabel(node), 'does not say which op it is')
    for (const name of node.inputs) if (!isMade(name)) refuse(node, name)
  }
  for (const output of graph.outputs)
    if (!isMade(output.name)) throw new FormatError(`graph output ${describe(output.name)}`, 'is made by no node')

  topologicalSort(graph)

  const inner = graph.nodes.flatMap(subgraphs)
  if (inner.length === 0) return
  // One set for all levels: names are added on the way in and taken out on the way back.
  const added = [...made.keys()].filter((name) => !around.has(name))
  for (const name of added) around.add(name)
  for (const subgraph of inner) check(subgraph, around)
  for (const name of added) around.delete(name)
}

function refuse(node: Node, name: string): never {
  throw new FormatError(nodeLabel(node), `reads the value ${describe(name)}, which no node, input or initializer makes`)
}
