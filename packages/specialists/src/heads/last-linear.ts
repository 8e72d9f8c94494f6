import {
  type ConstantTensor,
  floatAttribute,
  type Graph,
  intAttribute,
  intsAttribute,
  type Model,
  type Node,
  nodeLabel,
  tensorAttribute,
} from '@imago/onnx'
import { classifier } from '@imago/runtime'
import { UnsupportedError } from '@imago/tensor'

/** The linear layer that makes a classifier's logits: logits_c = scale·Σ_k w_ck·x_k + biasScale·b_c. */
export interface LastLinear {
  /** The model, with the layer's result as its only output: a softmax behind it is cut off. */
  readonly model: Model
  /** The logits' value. */
  readonly output: string
  /** Gemm, or MatMul. */
  readonly product: Node
  /** The Add behind a MatMul, where there is one. */
  readonly add: Node | undefined
  /** The initializer that holds the weights, `[C, K]` (`rows`) or `[K, C]` (`columns`). */
  readonly weight: ConstantTensor
  readonly units: 'rows' | 'columns'
  /** The initializer that holds the bias, where there is one. */
  readonly bias: ConstantTensor | undefined
  readonly biasScale: number
  readonly classes: number
}

const supported =
  'the last layer must be a Gemm, or a MatMul with or without an Add, whose weights are float constants [classes, features]; a softmax, identity or dropout may follow it'

/** What may stand behind the layer and leaves its numbers as they are. */
const transparent = new Set(['Identity', 'Dropout'])

/**
 * Find the linear layer at the end of a classifier.
 *
 * @param output the output that classifies, where the model has several
 * @throws UnsupportedError naming the node that is no such layer, and what is supported
 */
export function lastLinear(model: Model, output?: string): LastLinear {
  const found = classifier(model, output)
  const { graph } = found.model
  const made = producers(graph)
  const refuse = (what: string, reason: string): never => {
    throw new UnsupportedError(what, `${reason}; ${supported}`)
  }
  let value = found.value
  let end = made.get(value)
  while (end !== undefined && end.domain === '' && transparent.has(end.op)) {
    value = end.inputs[0]!
    end = made.get(value)
  }
  if (end === undefined || end.domain !== '')
    return refuse(end === undefined ? `output "${found.value}"` : nodeLabel(end), 'it is not made by a linear layer')
  const known = [...graph.outputs, ...model.graph.outputs, ...graph.values].find(({ name }) => name === value)
  const cut = { ...found.model, graph: { ...graph, outputs: [known ?? { name: value }] } }
  if (end.op === 'Gemm') {
    if (intAttribute(end, 'transA', 0) !== 0) return refuse(nodeLabel(end), 'it transposes its input')
    const { constant, transposed } =
      constantOf(graph, made, end.inputs[1]) ?? refuse(nodeLabel(end), 'its weights are no constant')
    const rows = (intAttribute(end, 'transB', 0) !== 0) !== transposed
    const bias = biasOf(graph, made, end.inputs[2])
    if (end.inputs[2] && bias === undefined) return refuse(nodeLabel(end), 'its bias is no constant vector')
    const biasScale = floatAttribute(end, 'beta', 1)
    return checked({
      model: cut,
      output: value,
      product: end,
      add: undefined,
      weight: constant,
      units: rows ? 'rows' : 'columns',
      bias,
      biasScale,
    })
  }
  let product = end
  let bias: ConstantTensor | undefined
  if (end.op === 'Add') {
    const [left = '', right = ''] = end.inputs
    const at = [left, right].findIndex((name) => made.get(name)?.op === 'MatMul' && made.get(name)!.domain === '')
    if (at < 0) return refuse(nodeLabel(end), 'it adds to something that is no product with a constant')
    product = made.get(end.inputs[at]!)!
    bias = biasOf(graph, made, end.inputs[1 - at]) ?? refuse(nodeLabel(end), 'what it adds is no constant vector')
  }
  if (product.op !== 'MatMul') return refuse(nodeLabel(product), 'the classifier does not end in a linear layer')
  const { constant, transposed } =
    constantOf(graph, made, product.inputs[1]) ?? refuse(nodeLabel(product), 'its weights are no constant')
  return checked({
    model: cut,
    output: value,
    product,
    add: end === product ? undefined : end,
    weight: constant,
    units: transposed ? 'rows' : 'columns',
    bias,
    biasScale: 1,
  })

  function checked(layer: Omit<LastLinear, 'classes'>): LastLinear {
    const { weight, product: node, units } = layer
    const label = nodeLabel(node)
    if (weight.dims.length !== 2) return refuse(label, `its weights are [${weight.dims.join(', ')}]`)
    for (const { name, type } of [weight, ...(layer.bias ? [layer.bias] : [])])
      if (!/^(float32|float16|bfloat16)$/.test(type)) return refuse(label, `"${name}" is of type ${type}`)
    const classes = weight.dims[units === 'rows' ? 0 : 1]!
    const length = layer.bias?.dims.reduce((a, b) => a * b, 1) ?? 1
    if (length !== 1 && length !== classes)
      return refuse(label, `its bias has ${length} elements for ${classes} classes`)
    if (layer.biasScale === 0) return refuse(label, 'its beta is 0')
    if (classes < 2)
      return refuse(label, 'it has one output, which says yes or no; there are no classes to choose from')
    return { ...layer, classes }
  }
}

/** Value name → the node that makes it. */
function producers(graph: Graph): ReadonlyMap<string, Node> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
}

/** The constant behind a value: an initializer, or a Constant node, as it is or through an Identity or a Transpose of its two axes. */
function constantOf(
  graph: Graph,
  made: ReadonlyMap<string, Node>,
  name = '',
): { constant: ConstantTensor; transposed: boolean } | undefined {
  const initializer = graph.initializers.get(name)
  if (initializer !== undefined) return { constant: initializer, transposed: false }
  const node = made.get(name)
  if (node?.domain !== '') return undefined
  if (node.op === 'Constant') {
    const value = tensorAttribute(node, 'value')
    return value && { constant: { ...value, name }, transposed: false }
  }
  const inner = /^(Identity|Transpose)$/.test(node.op) ? constantOf(graph, made, node.inputs[0]) : undefined
  if (inner === undefined || node.op === 'Identity') return inner
  const perm = intsAttribute(node, 'perm', [1, 0])
  return inner.constant.dims.length === 2 && perm.length === 2
    ? { ...inner, transposed: inner.transposed !== (perm[0] === 1) }
    : undefined
}

/** A bias [C], [1, C] or of one element. */
function biasOf(graph: Graph, made: ReadonlyMap<string, Node>, name = ''): ConstantTensor | undefined {
  const found = constantOf(graph, made, name)?.constant
  return found?.dims.slice(0, -1).every((size) => size === 1) ? found : undefined
}
