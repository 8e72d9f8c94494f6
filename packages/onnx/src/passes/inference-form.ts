import type { Graph, Node } from '../ir.js'

/** The graph for inference, whatever mode it was exported in: no dropout, running statistics. */
export function inferenceForm(graph: Graph): Graph {
  const nodes = graph.nodes.map((node): Node => {
    const [x = ''] = node.inputs
    const [y = ''] = node.outputs
    if (node.domain !== '') return node
    if (node.op === 'Dropout') return { ...node, op: 'Identity', inputs: [x], outputs: [y], attributes: new Map() }
    if (node.op !== 'BatchNormalization') return node
    const attributes = new Map([...node.attributes].filter(([name]) => name !== 'training_mode'))
    return { ...node, outputs: [y], attributes }
  })
  return { ...graph, nodes }
}
