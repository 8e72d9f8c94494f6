import { equalDim } from '../dim.js'
import type { Dim, Node, Shape } from '../ir.js'
import { mismatch, type ShapeContext } from './rule.js'

/** The shape of an elementwise op over these shapes (numpy's rule); undefined where one is unknown. */
export function broadcast(
  node: Node,
  shapes: readonly (Shape | undefined)[],
  context: ShapeContext,
): Shape | undefined {
  let result: Shape = []
  for (const shape of shapes) {
    if (shape === undefined) return undefined
    result = pair(node, result, shape, context)
  }
  return result
}

function pair(node: Node, a: Shape, b: Shape, context: ShapeContext): Shape {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, i) => {
    const left = a[i - rank + a.length] ?? 1
    const right = b[i - rank + b.length] ?? 1
    return broadcastDim(left, right, context) ?? mismatch(node, 'shapes that broadcast', a, b)
  })
}

/** Undefined where two numbers contradict each other. A number above 1 decides over a symbol. */
function broadcastDim(a: Dim, b: Dim, context: ShapeContext): Dim | undefined {
  if (equalDim(a, b) || b === 1) return a
  if (a === 1) return b
  if (typeof a === 'number') return typeof b === 'number' ? undefined : a
  if (typeof b === 'number') return b
  return context.fresh(`broadcast(${[a, b].sort().join(', ')})`)
}
