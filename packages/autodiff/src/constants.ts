import { type ConstantTensor, constantOf, type Graph, type Node, nodeLabel } from '@imago/onnx'
import { FormatError, type Tensor, tensor } from '@imago/tensor'

/** The constants of a graph by name: initializers, and the values of Constant nodes. `except`: names that will be fed. */
export function constantsOf(graph: Graph, except: ReadonlySet<string>): ReadonlyMap<string, ConstantTensor> {
  const constants = new Map<string, ConstantTensor>()
  for (const [name, value] of graph.initializers) if (!except.has(name)) constants.set(name, value)
  for (const node of graph.nodes)
    if (node.op === 'Constant' && node.domain === '') constants.set(node.outputs[0]!, constantValue(node))
  return constants
}

function constantValue(node: Node): ConstantTensor {
  const name = node.outputs[0]!
  const made = (value: Tensor): ConstantTensor => constantOf(name, value)
  for (const [key, attribute] of node.attributes)
    if (key === 'value' && attribute.kind === 'tensor') return { ...attribute.value, name }
    else if (key === 'value_float' && attribute.kind === 'float')
      return made(tensor('float32', [], Float32Array.of(attribute.value)))
    else if (key === 'value_int' && attribute.kind === 'int')
      return made(tensor('int64', [], BigInt64Array.of(attribute.value)))
    else if (key === 'value_floats' && attribute.kind === 'floats')
      return made(tensor('float32', [attribute.value.length], Float32Array.from(attribute.value)))
    else if (key === 'value_ints' && attribute.kind === 'ints')
      return made(tensor('int64', [attribute.value.length], BigInt64Array.from(attribute.value)))
    else if (key === 'value_string' && attribute.kind === 'string') return made(tensor('string', [], [attribute.value]))
    else if (key === 'value_strings' && attribute.kind === 'strings')
      return made(tensor('string', [attribute.value.length], [...attribute.value]))
  throw new FormatError(nodeLabel(node), 'it holds no dense value that imago reads')
}
