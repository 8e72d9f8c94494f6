import { elementCount, tensor } from '@imago/tensor'
import { floatAttribute, intAttribute } from '../attributes.js'
import { constantOf, tensorOf } from '../constant-tensor.js'
import type { ConstantTensor, Graph, Node } from '../ir.js'
import { type Names, namesOf, uniqueIn } from '../opset/rewriter.js'
import { readsOf } from './node-names.js'
import { removeDeadCode } from './remove-dead-code.js'

/** What a layer computes before the normalization: channel of each weight's element, and where weight and bias stand. */
interface Layer {
  readonly node: Node
  readonly weight: ConstantTensor
  readonly bias: ConstantTensor | undefined
  readonly channels: number
  /** The output channel that the i-th element of the weight makes. */
  channelOf(i: number): number
}

/**
 * BatchNormalization of running statistics put into the weights of the convolution or Gemm before it (Jacob et al. 2018, §3.2, eq. 14):
 * γ·(W·x + b − μ)/√(σ² + ε) + β is W′·x + b′ with s = γ/√(σ² + ε), W′ = s·W by rows, b′ = s·(b − μ) + β, computed in
 * float64 and rounded once. For inference alone: what it normalised by is gone from the graph.
 *
 * Left as they are: a layer whose result something else reads, weights that are fed or not float32, the training mode.
 * The nodes must be in topological order and in forms of opset 17.
 */
export function foldBatchNorm(graph: Graph): { readonly graph: Graph; readonly folded: number } {
  const initializers = new Map(graph.initializers)
  const names = namesOf(graph)
  const readers = countReaders(graph)
  const made = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const fed = new Set(graph.inputs.map((input) => input.name))
  const constant = (name: string | undefined): ConstantTensor | undefined => {
    const found = name === undefined || fed.has(name) ? undefined : initializers.get(name)
    return found?.type === 'float32' && found.external === undefined ? found : undefined
  }
  const instead = new Map<Node, Node | undefined>()
  for (const node of graph.nodes) {
    if (node.op !== 'BatchNormalization' || node.domain !== '' || node.outputs.length !== 1) continue
    const before = made.get(node.inputs[0] ?? '')
    if (before === undefined || readers.get(node.inputs[0]!) !== 1 || instead.has(before)) continue
    const layer = layerOf(before, constant)
    const statistics = node.inputs.slice(1, 5).map(constant)
    if (layer === undefined || statistics.length !== 4 || !statistics.every((one) => one?.dims[0] === layer.channels))
      continue
    const { weight, bias } = folded(layer, node, statistics as ConstantTensor[])
    const put = (name: string, value: ConstantTensor): string => {
      initializers.set(name, { ...value, name })
      return name
    }
    // A weight that other nodes read as well stays theirs.
    const own = (name: string): string => (readers.get(name) === 1 ? name : uniqueIn(names, name))
    const inputs = [
      before.inputs[0]!,
      put(own(layer.weight.name), weight),
      put(layer.bias ? own(layer.bias.name) : biasName(layer.weight.name, names), bias),
    ]
    instead.set(before, { ...before, inputs, outputs: node.outputs })
    instead.set(node, undefined)
  }
  if (instead.size === 0) return { graph, folded: 0 }
  const nodes = graph.nodes.flatMap((node) => (instead.has(node) ? (instead.get(node) ?? []) : node))
  return { graph: removeDeadCode({ ...graph, nodes, initializers }), folded: instead.size / 2 }
}

function biasName(weight: string, names: Names): string {
  return uniqueIn(names, weight.endsWith('.weight') ? `${weight.slice(0, -6)}bias` : `${weight}.bias`)
}

function countReaders(graph: Graph): Map<string, number> {
  const readers = new Map<string, number>()
  const add = (name: string): void => {
    readers.set(name, (readers.get(name) ?? 0) + 1)
  }
  for (const output of graph.outputs) add(output.name)
  for (const node of graph.nodes) for (const name of readsOf(node)) add(name)
  return readers
}

function layerOf(node: Node, constant: (name: string | undefined) => ConstantTensor | undefined): Layer | undefined {
  const weight = constant(node.inputs[1])
  const given = node.inputs[2] || undefined
  const bias = constant(given)
  if (weight === undefined || node.domain !== '' || (given !== undefined && bias === undefined)) return undefined
  const { dims } = weight
  const inner = elementCount(dims.slice(1))
  const found = rowsOf(node, dims, inner)
  if (found === undefined) return undefined
  if (bias !== undefined && elementCount(bias.dims) !== found.channels) return undefined
  return { node, weight, bias, ...found }
}

function rowsOf(
  node: Node,
  dims: readonly number[],
  inner: number,
): { channels: number; channelOf(i: number): number } | undefined {
  const [rows = 0, columns = 0] = dims
  switch (node.op) {
    case 'Conv':
      return { channels: rows, channelOf: (i) => Math.floor(i / inner) }
    case 'ConvTranspose': {
      // [in, out/group, …]: the group of a row is that of its input channel.
      const group = intAttribute(node, 'group', 1)
      const kernel = inner / columns
      const channelOf = (i: number): number =>
        Math.floor((Math.floor(i / inner) * group) / rows) * columns + (Math.floor(i / kernel) % columns)
      return { channels: columns * group, channelOf }
    }
    case 'Gemm': {
      if (floatAttribute(node, 'alpha', 1) !== 1 || floatAttribute(node, 'beta', 1) !== 1) return undefined
      return intAttribute(node, 'transB', 0) === 1
        ? { channels: rows, channelOf: (i) => Math.floor(i / columns) }
        : { channels: columns, channelOf: (i) => i % columns }
    }
    default:
      return undefined
  }
}

function folded(
  { weight, bias, channels, channelOf }: Layer,
  node: Node,
  statistics: readonly ConstantTensor[],
): { weight: ConstantTensor; bias: ConstantTensor } {
  const [gamma, beta, mean, variance] = statistics.map(numbers) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ]
  const epsilon = floatAttribute(node, 'epsilon', 1e-5)
  const scale = Float64Array.from({ length: channels }, (_, c) => gamma[c]! / Math.sqrt(variance[c]! + epsilon))
  const old = numbers(weight)
  const b = bias && numbers(bias)
  const newBias = Float32Array.from({ length: channels }, (_, c) => ((b?.[c] ?? 0) - mean[c]!) * scale[c]! + beta[c]!)
  return {
    weight: constantOf(
      '',
      tensor(
        'float32',
        weight.dims,
        old.map((w, i) => w * scale[channelOf(i)]!),
      ),
    ),
    bias: constantOf('', tensor('float32', [channels], newBias)),
  }
}

function numbers(constant: ConstantTensor): Float32Array {
  return tensorOf(constant).data as Float32Array
}
