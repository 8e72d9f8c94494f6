import { elementCount } from '@imago/tensor'
import { tensorOf } from '../constant-tensor.js'
import type { Graph, Node, ValueInfo } from '../ir.js'
import { readsOf } from '../passes/node-names.js'

/** What a pattern may ask of the graph around a node. */
export interface Scene {
  readonly shapes: ReadonlyMap<string, ValueInfo>
  /** The standard node of this op that makes the value. */
  made(value: string, ...ops: string[]): Node | undefined
  /** The one node that reads the value, if it is of this op, and nothing else does (nor is it an output). */
  reader(value: string, op: string): Node | undefined
  /** The number in a constant of one element that nobody feeds or trains. */
  number(value: string): number | undefined
  /** The operand of a node of two that is not this one. */
  other(node: Node, operand: string): string
}

export function sceneOf(graph: Graph, shapes: ReadonlyMap<string, ValueInfo>, trained: ReadonlySet<string>): Scene {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const readers = new Map<string, Node[]>()
  for (const node of graph.nodes)
    for (const name of readsOf(node)) readers.set(name, [...(readers.get(name) ?? []), node])
  const outputs = new Set(graph.outputs.map((output) => output.name))
  return {
    shapes,
    made(value, ...ops) {
      const node = makers.get(value)
      return node !== undefined && node.domain === '' && ops.includes(node.op) ? node : undefined
    },
    reader(value, op) {
      const [node, ...others] = readers.get(value) ?? []
      const isOnly = node !== undefined && others.length === 0 && !outputs.has(value)
      return isOnly && node.domain === '' && node.op === op ? node : undefined
    },
    number(value) {
      const constant = graph.initializers.get(value)
      if (constant === undefined || constant.external || trained.has(value) || elementCount(constant.dims) !== 1)
        return undefined
      return Number(tensorOf(constant).data[0])
    },
    other: ({ inputs: [a = '', b = ''] }, operand) => (a === operand ? b : a),
  }
}

/** Equal but for the rounding of float32. */
export function isNear(value: number | undefined, wanted: number): boolean {
  return value !== undefined && Math.abs(value - wanted) <= 1e-6 * Math.abs(wanted)
}
