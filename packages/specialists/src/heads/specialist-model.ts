import { decodeBfloat16, decodeFloat16, toBfloat16, toFloat16 } from '@imago/kernels'
import { type ConstantTensor, constantOf, type Model, type Node, removeDeadCode, tensorOf } from '@imago/onnx'
import { dims, type Tensor, tensor } from '@imago/tensor'
import { type ClassSet, checkClassSet, placesOf } from '../sets/class-set.js'
import { fitDustbin } from './fit-dustbin.js'
import { type LastLinear, lastLinear } from './last-linear.js'
import { withSpecialistFile } from './specialist-file.js'

export interface SpecialistModelOptions {
  readonly set: ClassSet
  /** The generalist's logits `[N, C]` on a sample of rows, float32: what the dustbin's mass is fitted to. */
  readonly logits: Tensor
  /** The output that classifies, where the generalist has several. */
  readonly output?: string | undefined
}

export interface SpecialistModel {
  /** Its output is logits `[N, |S| + 1]`: the set's classes in their order, then the dustbin. */
  readonly model: Model
  /** The fitted constant in the dustbin's bias, in nats. */
  readonly constant: number
}

/**
 * A specialist that begins as its generalist (Hinton, Vinyals & Dean 2015, §5.2): all weights but those of the last layer are the generalist's; of
 * that layer the rows of the special classes stay, and one row, the mean of all others, becomes the dustbin's. Its bias is the mean of their biases + ln
 * of their number + a constant (`fitDustbin`), so that over the sample the dustbin has the mass that the generalist gives those classes.
 *
 * @throws UnsupportedError where the generalist does not end in a linear layer (`lastLinear` says what is supported), ArgumentError for a
 *   set that is none, ShapeError for logits of other classes
 */
export function specialistModel(generalist: Model, options: SpecialistModelOptions): SpecialistModel {
  const caller = 'specialistModel'
  const { set, logits, output } = options
  const layer = lastLinear(generalist, output)
  checkClassSet(caller, set, layer.classes)
  dims(caller, { logits: [logits, `N ${layer.classes}`, 'float32'] })
  const constant = fitDustbin({ logits, set })
  const rest = layer.classes - set.classes.length
  const model = withHead(layer, set, (biases) => biases + Math.log(rest) + constant)
  return { model: withSpecialistFile(model, { set, classes: layer.classes, head: 'dustbin' }), constant }
}

/** The specialist of section 6.1: the generalist as it is, all its classes, marked as the specialist of this set. */
export function fullSpecialistModel(
  generalist: Model,
  options: { readonly set: ClassSet; readonly output?: string | undefined },
): Model {
  const { model, classes } = lastLinear(generalist, options.output)
  checkClassSet('fullSpecialistModel', options.set, classes)
  const pruned = { ...model, graph: removeDeadCode(model.graph) }
  return withSpecialistFile(pruned, { set: options.set, classes, head: 'full' })
}

function withHead(layer: LastLinear, set: ClassSet, dustbinBias: (mean: number) => number): Model {
  const { model, output, product, add, weight, units, bias, biasScale, classes } = layer
  const { graph } = model
  const outputs = set.classes.length + 1
  const pick = (of: (c: number) => number): number[] => {
    const places = placesOf(set, classes)
    let rest = 0
    for (let c = 0; c < classes; c++) if (places[c] === set.classes.length) rest += of(c)
    return [...set.classes.map(of), rest / (classes - set.classes.length)]
  }
  const w = floats(weight)
  const features = w.length / classes
  const chosen = new Float32Array(outputs * features)
  for (let k = 0; k < features; k++) {
    const column = pick((c) => (units === 'rows' ? w[c * features + k]! : w[k * classes + c]!))
    for (const [o, value] of column.entries()) chosen[units === 'rows' ? o * features + k : k * outputs + o] = value
  }
  const b = bias ? floats(bias) : new Float32Array(1)
  const biases = pick((c) => (b.length === 1 ? b[0]! : b[c]!))
  biases[set.classes.length] = dustbinBias(biases[set.classes.length]! * biasScale) / biasScale

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
  const own = (constant: ConstantTensor | undefined, direct: boolean, hint: string): string =>
    constant !== undefined && direct && reads.filter((name) => name === constant.name).length === 1
      ? constant.name
      : fresh(constant ? `${constant.name}.special` : hint)
  const weightName = own(weight, graph.initializers.has(product.inputs[1]!), 'specialist.weight')
  const biasName = own(
    bias,
    bias !== undefined && graph.initializers.has(bias.name) && [...(add ?? product).inputs].includes(bias.name),
    'specialist.bias',
  )
  const type = weight.type
  const initializers = new Map(graph.initializers)
  const dimsOf = units === 'rows' ? [outputs, features] : [features, outputs]
  initializers.set(weightName, constantOf(weightName, inType(type, dimsOf, chosen)))
  initializers.set(biasName, constantOf(biasName, inType(bias?.type ?? type, [outputs], Float32Array.from(biases))))

  const [known] = graph.outputs
  const described = { name: output, type, ...(known?.shape && { shape: [...known.shape.slice(0, -1), outputs] }) }
  const replaced = linearNodes(layer, weightName, biasName, fresh)
  const last = add ?? product
  const nodes = graph.nodes.flatMap((node) => (node === last ? replaced : node === product ? [] : [node]))
  const pruned = removeDeadCode({ ...graph, nodes, initializers, values: [], outputs: [described] })
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
