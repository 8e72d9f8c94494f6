import type { Graph } from '../ir.js'
import { readsOf } from './node-names.js'

/**
 * The graph without nodes, initializers and descriptions that no output needs. Inputs stay, with their defaults, as callers feed them by name.
 * The nodes must be in topological order.
 */
export function removeDeadCode(graph: Graph): Graph {
  const live = new Set(graph.outputs.map((output) => output.name))
  const nodes = [...graph.nodes].reverse().filter((node) => {
    const needed = node.outputs.some((output) => live.has(output))
    if (needed) for (const name of readsOf(node)) live.add(name)
    return needed
  })
  for (const input of graph.inputs) live.add(input.name)
  const made = new Set(nodes.flatMap((node) => node.outputs))
  return {
    ...graph,
    nodes: nodes.reverse(),
    initializers: new Map([...graph.initializers].filter(([name]) => live.has(name))),
    values: graph.values.filter((info) => made.has(info.name)),
  }
}
