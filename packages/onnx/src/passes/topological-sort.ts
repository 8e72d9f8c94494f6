import { FormatError } from '@imago/tensor'
import { nodeLabel } from '../attributes.js'
import type { Graph, Node } from '../ir.js'
import { readsOf } from './node-names.js'

/**
 * The graph with each node behind those that make its inputs; the same object where that is so already, else as close to the
 * given order as that allows. Takes time linear in nodes and edges, and no stack.
 * @throws FormatError where nodes depend on each other in a circle
 */
export function topologicalSort(graph: Graph): Graph {
  const maker = new Map<string, number>()
  for (const [i, node] of graph.nodes.entries())
    for (const output of node.outputs) if (output !== '') maker.set(output, i)
  const before = graph.nodes.map((node) => readsOf(node).flatMap((name) => (maker.has(name) ? [maker.get(name)!] : [])))
  if (before.every((makers, i) => makers.every((maker) => maker < i))) return graph
  return { ...graph, nodes: order(graph.nodes, before).map((i) => graph.nodes[i]!) }
}

const open = 1
const done = 2

/** Depth first from each node in the given order; `next` is how many makers of a node have been looked at. */
function order(nodes: readonly Node[], before: readonly (readonly number[])[]): number[] {
  const state = new Uint8Array(nodes.length)
  const next = new Uint32Array(nodes.length)
  const sorted: number[] = []
  for (const root of nodes.keys()) {
    if (state[root] === done) continue
    const path = [root]
    state[root] = open
    while (path.length > 0) {
      const node = path.at(-1)!
      const maker = before[node]![next[node]!++]
      if (maker === undefined) {
        state[node] = done
        sorted.push(node)
        path.pop()
      } else if (state[maker] === open) {
        const circle = path.slice(path.indexOf(maker)).map((i) => nodeLabel(nodes[i]!))
        throw new FormatError('graph', `nodes depend on each other in a circle: ${spell(circle)}`)
      } else if (state[maker] !== done) {
        state[maker] = open
        path.push(maker)
      }
    }
  }
  return sorted
}

function spell(labels: readonly string[]): string {
  return labels.length <= 4 ? labels.join(', ') : `${labels.slice(0, 3).join(', ')} and ${labels.length - 3} more`
}
