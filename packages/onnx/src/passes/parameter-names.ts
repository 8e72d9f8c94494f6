import { elementCount } from '@imago/tensor'
import { tensorOf } from '../constant-tensor.js'
import type { ConstantTensor, Graph, Node } from '../ir.js'
import { differentiableReads } from './differentiable-inputs.js'

/** Inputs of ops whose constants are weights by the op's own meaning; other ops take constants of any kind. */
const weightOps: { readonly [op: string]: readonly number[] } = {
  BatchNormalization: [1, 2],
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  FusedMatMul: [0, 1],
  Gather: [0],
  Gemm: [0, 1, 2],
  GroupNormalization: [1, 2],
  GRU: [1, 2, 3],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
  LSTM: [1, 2, 3, 7],
  MatMul: [0, 1],
  PRelu: [1],
  RMSNormalization: [1],
  RNN: [1, 2, 3],
}

/**
 * The float32 initializers that training may change, in the order of the graph: those from which a gradient can reach an
 * output. Running means and variances, ratios, bounds and shapes are none. For arithmetic (Add, Mul, …), where a constant may be anything,
 * one counts as a weight if it is no mask (of zeros and ones, or of 0 and −∞), has more than one element (or is the bias of the matrix product it is added to) and does not
 * meet the model's input before any other weight, as the mean and deviation of a normalisation do.
 *
 * Run it before `foldConstants`, which turns constants of exporters into initializers.
 */
export function parameterNames(graph: Graph): string[] {
  const live = reachable(graph)
  const wanted = new Set<string>()
  // Where a value comes from: the initializers behind Identity, Transpose, Concat and the like, and whether weights are behind it.
  const origin = new Map<string, readonly string[]>()
  for (const [name, { type }] of graph.initializers) if (type === 'float32' && live.has(name)) origin.set(name, [name])
  // The same for what is computed of weights and constants alone: a matrix from its direction and its length (weight normalization).
  const derived = new Map<string, readonly string[]>()
  const weighted = new Set<string>()
  const makers = new Map<string, string>()
  for (const node of graph.nodes) {
    if (node.outputs.some((output) => live.has(output)))
      collect(graph, node, { origin, derived, weighted, makers, wanted })
    for (const output of node.outputs) makers.set(output, node.op)
  }
  return [...graph.initializers.keys()].filter((name) => wanted.has(name))
}

interface State {
  readonly origin: Map<string, readonly string[]>
  readonly derived: Map<string, readonly string[]>
  readonly weighted: Set<string>
  readonly makers: Map<string, string>
  readonly wanted: Set<string>
}

const movers = new Set([
  'Identity',
  'Transpose',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Cast',
  'Expand',
  'Slice',
  'Split',
])

function collect(graph: Graph, node: Node, state: State): void {
  const { origin, derived, weighted, makers, wanted } = state
  const reads = differentiableReads(node)
  const first = reads[0]
  if (movers.has(node.op) && first !== undefined && origin.has(first)) {
    for (const output of node.outputs) origin.set(output, origin.get(first)!)
    return
  }
  // As PyTorch's weights of the gates are put in another order for LSTM and GRU.
  if (node.op === 'Concat' && reads.every((name) => origin.has(name))) {
    for (const output of node.outputs) origin.set(output, [...new Set(reads.flatMap((name) => origin.get(name)!))])
    return
  }
  derive(graph, node, reads, state)
  const positions = Object.hasOwn(weightOps, node.op) ? weightOps[node.op] : undefined
  const others = reads.filter((name) => !origin.has(name))
  const afterWeights = others.some((name) => weighted.has(name))
  for (const name of reads) {
    const computed = positions === undefined ? undefined : derived.get(name)
    for (const source of origin.get(name) ?? computed ?? []) {
      const taken =
        positions !== undefined ? positions.some((i) => node.inputs[i] === name) : afterWeights && isWeight(source)
      const constant = graph.initializers.get(source)!
      if (taken && !isMask(constant) && !isUnitOfGroups(node, name, constant, makers)) wanted.add(source)
    }
  }
  const behind = (name: string): readonly string[] | undefined => origin.get(name) ?? derived.get(name)
  if (afterWeights || reads.some((name) => behind(name)?.some((source) => wanted.has(source))))
    for (const output of node.outputs) weighted.add(output)

  function isWeight(source: string): boolean {
    const { dims } = graph.initializers.get(source)!
    const bias = node.op === 'Add' && others.some((name) => /MatMul|^Conv/.test(makers.get(name) ?? ''))
    return elementCount(dims) > 1 || (dims.length > 0 && bias)
  }
}

/** What a matrix is computed from becomes a weight where the matrix is used as one; single numbers (ε) do not. */
function derive(graph: Graph, node: Node, reads: readonly string[], { origin, derived }: State): void {
  if (node.op === 'Constant' && node.domain === '') for (const output of node.outputs) derived.set(output, [])
  const behind = reads.map((name) => origin.get(name) ?? derived.get(name))
  if (behind.length === 0 || !behind.every((sources) => sources !== undefined)) return
  const sources = [...new Set(behind.flat())].filter((name) => {
    const { dims } = graph.initializers.get(name)!
    return elementCount(dims) > 1 || dims.length > 1
  })
  for (const output of node.outputs) derived.set(output, sources)
}

/** Far enough below 0 to say "not this one" to a softmax. */
const far = -1e4

/**
 * Constants that leave something out: zeros and ones that a pruned matrix is multiplied with, and 0 or −∞ (or as good as) that is added to scores of
 * attention. Weights end the look at their first other element.
 */
function isMask(constant: ConstantTensor): boolean {
  if (constant.external !== undefined || elementCount(constant.dims) < 2) return false
  const data = tensorOf(constant).data as Float32Array
  const [first] = data
  const isBinary =
    data.every((value) => value === 0 || value === 1) || data.every((value) => value === 0 || value <= far)
  return isBinary && data.some((value) => value !== first)
}

/**
 * GroupNorm before opset 21: groups become channels (Reshape), are normalised with scales of 1 and shifts of 0 that are no weights, and the
 * module's own scale and shift follow.
 */
function isUnitOfGroups(
  node: Node,
  name: string,
  constant: ConstantTensor,
  makers: ReadonlyMap<string, string>,
): boolean {
  if (node.op !== 'InstanceNormalization' || makers.get(node.inputs[0] ?? '') !== 'Reshape') return false
  if (constant.external !== undefined) return false
  const unit = name === node.inputs[1] ? 1 : 0
  return (tensorOf(constant).data as Float32Array).every((value) => value === unit)
}

/** Values from which a gradient can reach an output. */
function reachable(graph: Graph): Set<string> {
  const live = new Set(graph.outputs.map((output) => output.name))
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!
    if (node.outputs.some((output) => live.has(output))) for (const name of differentiableReads(node)) live.add(name)
  }
  return live
}
