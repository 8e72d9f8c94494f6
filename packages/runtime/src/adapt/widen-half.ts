import { fromBfloat16, fromFloat16 } from '@imago/kernels'
import {
  type Attribute,
  attribute,
  type ConstantTensor,
  constantOf,
  type Graph,
  intAttribute,
  type Model,
  mapTensors,
  type Node,
  subgraphs,
  tensorOf,
  typeCode,
  typeOfCode,
  type ValueInfo,
} from '@imago/onnx'
import { isType } from '@imago/tensor'

/**
 * A model of half precision in float32: weights, constants, casts, inputs and outputs. Training needs it, as steps are smaller than what
 * half precision can add; the weights are rounded again when they are saved.
 */
export function widenHalf(model: Model): { readonly model: Model; readonly notes: readonly string[] } {
  const halves = [...model.graph.initializers.values()].filter(isHalf)
  if (halves.length === 0) return { model, notes: [] }
  const wide = mapTensors(model, (constant) => (isHalf(constant) ? widened(constant) : constant))
  const functions = wide.functions.map((one) => ({ ...one, nodes: one.nodes.map(wideNode) }))
  const note = `${halves.length} weights are ${halves[0]!.type}: they are trained in float32, the student takes and gives float32 meanwhile, and they are rounded when it is saved`
  return { model: { ...wide, graph: wideGraph(wide.graph), functions }, notes: [note] }
}

function isHalf({ type }: { readonly type?: string }): boolean {
  return type === 'float16' || type === 'bfloat16'
}

function widened(constant: ConstantTensor): ConstantTensor {
  const x = tensorOf(constant)
  if (isType(x, 'float16')) return constantOf(constant.name, fromFloat16({ x }))
  return isType(x, 'bfloat16') ? constantOf(constant.name, fromBfloat16({ x })) : constant
}

function wideGraph(graph: Graph): Graph {
  return {
    ...graph,
    nodes: graph.nodes.map(wideNode),
    inputs: graph.inputs.map(wideInfo),
    outputs: graph.outputs.map(wideInfo),
    values: graph.values.map(wideInfo),
  }
}

function wideInfo(info: ValueInfo): ValueInfo {
  return isHalf(info) ? { name: info.name, type: 'float32', ...(info.shape && { shape: info.shape }) } : info
}

/** Attributes that say an element type: `to` of Cast, `dtype` of what makes tensors. */
function wideNode(node: Node): Node {
  const attributes = new Map<string, Attribute>(node.attributes)
  for (const name of ['to', 'dtype'])
    if (node.attributes.get(name)?.kind === 'int' && isHalf({ type: typeOfCode(intAttribute(node, name, 1)) ?? '' }))
      attributes.set(name, attribute(typeCode('float32')))
  if (subgraphs(node).length > 0)
    for (const [name, value] of attributes) {
      if (value.kind === 'graph') attributes.set(name, { kind: 'graph', value: wideGraph(value.value) })
      if (value.kind === 'graphs') attributes.set(name, { kind: 'graphs', value: value.value.map(wideGraph) })
    }
  return { ...node, attributes }
}
