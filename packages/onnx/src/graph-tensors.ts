import type { Attribute, ConstantTensor, Graph, Model, Node } from './ir.js'

/** What happens to a constant; the same object back means no change. */
export type TensorMapping = (constant: ConstantTensor) => ConstantTensor

/** A model with every constant mapped: initializers and tensor attributes, in subgraphs and functions too. */
export function mapTensors(model: Model, map: TensorMapping): Model {
  return {
    ...model,
    graph: mapGraph(model.graph, map),
    functions: model.functions.map((definition) => ({
      ...definition,
      nodes: definition.nodes.map((node) => mapNode(node, map)),
    })),
  }
}

/** Every constant of a model, initializers and tensor attributes. */
export function listTensors(model: Model): ConstantTensor[] {
  const found: ConstantTensor[] = []
  mapTensors(model, (constant) => {
    found.push(constant)
    return constant
  })
  return found
}

function mapGraph(graph: Graph, map: TensorMapping): Graph {
  return {
    ...graph,
    initializers: new Map(Array.from(graph.initializers, ([name, constant]) => [name, map(constant)])),
    nodes: graph.nodes.map((node) => mapNode(node, map)),
  }
}

function mapNode(node: Node, map: TensorMapping): Node {
  if (node.attributes.size === 0) return node
  const attributes = Array.from(node.attributes, ([name, value]) => [name, mapAttribute(value, map)] as const)
  return { ...node, attributes: new Map(attributes) }
}

function mapAttribute(attribute: Attribute, map: TensorMapping): Attribute {
  switch (attribute.kind) {
    case 'tensor':
      return { ...attribute, value: map(attribute.value) }
    case 'tensors':
      return { ...attribute, value: attribute.value.map(map) }
    case 'graph':
      return { ...attribute, value: mapGraph(attribute.value, map) }
    case 'graphs':
      return { ...attribute, value: attribute.value.map((graph) => mapGraph(graph, map)) }
    default:
      return attribute
  }
}
