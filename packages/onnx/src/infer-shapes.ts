import type { Graph, ValueInfo } from './ir.js'

/**
 * Type and shape of every value in a graph that can be told: inputs, initializers and intermediates.
 * Not implemented yet.
 */
export function inferShapes(_graph: Graph): ReadonlyMap<string, ValueInfo> {
  return new Map()
}
