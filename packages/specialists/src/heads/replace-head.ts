import { decodeBfloat16, decodeFloat16, toBfloat16, toFloat16 } from '@imago/kernels'
import { type ConstantTensor, constantOf, type Model, type Node, removeDeadCode, tensorOf } from '@imago/onnx'
import { type Tensor, tensor } from '@imago/tensor'
import type { LastLinear } from './last-linear.js'

export interface Head {
  readonly outputs: number
  /** `[outputs, K]`, or `[K, outputs]`, as the layer's own are laid out. */
  readonly weight: Float32Array
  /** `[outputs]`: what is added to the logits. */
  readonly bias: Float32Array
}

/**
 * The model with another last layer: same input, same kind of node, other weights, and a bias where there was none. What else reads the old
 * weights keeps them; where nothing does, the new ones have their names. The model ends at the logits.
 */
export function replaceHead(layer: LastLinear, { outputs, weight, bias }: Head): Model {
  const { model, output, product, add, units, biasScale } = layer
  const { graph } = model
  const taken = new Set([
    ...graph.initializers.keys(),
    ...graph.inputs.map(({ name }) => name),
    ...graph.nodes.flatMap((node) => node.outputs),
  ])
  const fresh = (wanted: string): string => {
    let name = wanted
    for (let i = 1; taken.has(name); i++) name = `${wanted}_${i}`
    taken.add(name)
    return name
  }
  // The names stay where nothing else reads them: who trains tells weights by name.
  const reads = graph.nodes.flatMap((node) => node.inputs)
  const own = (constant: ConstantTensor | undefined, node: Node, hint: string): string =>
    constant !== undefined &&
    graph.initializers.has(constant.name) &&
    node.inputs.includes(constant.name) &&
    reads.filter((name) => name === constant.name).length === 1
      ? constant.name
      : fresh(constant ? `${constant.name}.special` : hint)
  const weightName = own(layer.weight, product, 'specialist.weight')
  const biasName = own(layer.bias, add ?? product, 'specialist.bias')
  const { type } = layer.weight
  const features = weight.length / outputs
  const shape = units === 'rows' ? [outputs, features] : [features, outputs]
  const constants = new Map([
    [weightName, inType(type, shape, weight)],
    [
      biasName,
      inType(
        layer.bias?.type ?? type,
        [outputs],
        bias.map((b) => b / biasScale),
      ),
    ],
  ])
  const initializers = new Map(graph.initializers)
  for (const [name, value] of constants) initializers.set(name, constantOf(name, value))
  // Old files list initializers as inputs too, with their shapes.
  const inputs = graph.inputs.map((input) => {
    const value = constants.get(input.name)
    return value ? { ...input, shape: value.dims } : input
  })
  const [known] = graph.outputs
  const described = { name: output, type, ...(known?.shape && { shape: [...known.shape.slice(0, -1), outputs] }) }
  const replaced = linearNodes(layer, weightName, biasName, fresh)
  const last = add ?? product
  const nodes = graph.nodes.flatMap((node) => (node === last ? replaced : node === product ? [] : [node]))
  const pruned = removeDeadCode({ ...graph, nodes, inputs, initializers, values: [], outputs: [described] })
  return { ...model, graph: pruned }
}

/** The layer's nodes with other constants; where a Gemm's weights came through a Transpose, its transB says what they are now. */
function linearNodes(
  { product, add, units, output }: LastLinear,
  weight: string,
  bias: string,
  fresh: (name: string) => string,
): Node[] {
  const [x = ''] = product.inputs
  if (product.op === 'Gemm') {
    const attributes = new Map(product.attributes)
    attributes.set('transB', { kind: 'int', value: units === 'rows' ? 1n : 0n })
    return [{ ...product, attributes, inputs: [x, weight, bias], outputs: [output] }]
  }
  // A MatMul has no transB, a Gemm wants two axes, and any number of leading axes may come: MatMul and Add are kept.
  const sum = fresh(`${output}.product`)
  const [name, transposed] = units === 'columns' ? [weight, []] : transpose(weight, fresh)
  const node = add ?? { name: '', op: 'Add', domain: '', attributes: new Map() }
  return [
    ...transposed,
    { ...product, inputs: [x, name], outputs: [sum] },
    { ...node, inputs: [sum, bias], outputs: [output] },
  ]
}

function transpose(weight: string, fresh: (name: string) => string): [name: string, nodes: Node[]] {
  const name = fresh(`${weight}.transposed`)
  const perm = { kind: 'ints', value: [1n, 0n] } as const
  return [
    name,
    [
      {
        name: '',
        op: 'Transpose',
        domain: '',
        inputs: [weight],
        outputs: [name],
        attributes: new Map([['perm', perm]]),
      },
    ],
  ]
}

/** A constant's elements as float32. */
export function floats(constant: ConstantTensor): Float32Array {
  const { type, data } = tensorOf(constant)
  if (type === 'float16') return Float32Array.from(data as Uint16Array, decodeFloat16)
  if (type === 'bfloat16') return Float32Array.from(data as Uint16Array, decodeBfloat16)
  return data as Float32Array
}

/** float32 numbers as a tensor of one of the types that `floats` reads. */
export function inType(type: string, shape: readonly number[], data: Float32Array): Tensor {
  const x = tensor('float32', shape, data)
  return type === 'float16' ? toFloat16({ x }) : type === 'bfloat16' ? toBfloat16({ x }) : x
}
