import { attribute } from '../attributes.js'
import { typeCode } from '../data-types.js'
import { inferShapes } from '../infer-shapes.js'
import type { Graph, Node } from '../ir.js'

/**
 * CastLike of a value whose type is known as Cast: it then depends on no activation, and may be a constant. The nodes must be in
 * topological order and in forms of opset 17.
 */
export function decideCasts(graph: Graph): Graph {
  const isCastLike = (node: Node): boolean => node.op === 'CastLike' && node.domain === ''
  if (!graph.nodes.some(isCastLike)) return graph
  const known = inferShapes(graph)
  const nodes = graph.nodes.map((node): Node => {
    const [x = '', like = ''] = node.inputs
    const type = isCastLike(node) ? known.get(like)?.type : undefined
    if (type === undefined) return node
    return { ...node, op: 'Cast', inputs: [x], attributes: new Map([['to', attribute(typeCode(type))]]) }
  })
  return { ...graph, nodes }
}
