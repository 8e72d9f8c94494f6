import { elementCount, type Tensor, tensor } from '@imago/tensor'
import { intAttribute, tensorAttribute } from '../attributes.js'
import { constantOf, tensorOf } from '../constant-tensor.js'
import { evaluatorOf } from '../fold/evaluate.js'
import { reshapeTarget } from '../fold/reshape-target.js'
import { inferKnown } from '../infer-shapes.js'
import type { ConstantTensor, Graph, Node } from '../ir.js'
import { type Names, namesOf, uniqueIn } from '../opset/rewriter.js'
import type { Known } from '../shapes/rule.js'
import { renameReads, subgraphs } from './node-names.js'
import { removeDeadCode } from './remove-dead-code.js'

export interface FoldOptions {
  /**
   * Initializers that are not looked into, so that they keep name and layout: the weights that are to be trained
   * (`parameterNames(graph)`). Identity is followed for them all the same. Default none.
   */
  readonly keep?: Iterable<string>
  /** Fold what If decides by as well, as `decideBranches` does. Default no. */
  readonly conditions?: boolean
}

/**
 * The graph with what is known beforehand computed: Constant nodes and shape computations with known sizes become initializers,
 * Identity is taken out, and nodes of constants are evaluated where every machine gets the same result (moves of elements, exact
 * arithmetic on small tensors); a Reshape by computed sizes of which one is open (the batch) gets constant ones. Names of inputs and outputs stay; dead code goes. Dropout stays, as training needs it.
 *
 * Needs nodes in topological order.
 */
export function foldConstants(graph: Graph, options: FoldOptions = {}): Graph {
  const state = startOf(graph, new Set(options.keep), options.conditions === true)
  const nodes = graph.nodes.flatMap((node) => fold(renameReads(node, state.aliases), state))
  return removeDeadCode({ ...graph, nodes, initializers: state.initializers })
}

interface State {
  readonly known: ReadonlyMap<string, Known>
  readonly initializers: Map<string, ConstantTensor>
  /** Names whose values may be read: initializers that no caller can override and no trainer changes. */
  readonly constants: Set<string>
  readonly aliases: Map<string, string>
  readonly outputs: ReadonlySet<string>
  readonly names: Names
  /**
   * What If decides by, and what that is computed from. It stays computed: ONNX Runtime checks a branch that it can choose when
   * it loads the model more strictly than one that it may choose.
   */
  readonly conditions: ReadonlySet<string>
}

function startOf(graph: Graph, keep: ReadonlySet<string>, foldsConditions: boolean): State {
  const inputs = new Set(graph.inputs.map((input) => input.name))
  const constants = [...graph.initializers].filter(
    ([name, { external }]) => !inputs.has(name) && !keep.has(name) && !external,
  )
  return {
    known: inferKnown(graph),
    initializers: new Map(graph.initializers),
    constants: new Set(constants.map(([name]) => name)),
    aliases: new Map(),
    outputs: new Set(graph.outputs.map((output) => output.name)),
    names: namesOf(graph),
    conditions: foldsConditions ? new Set() : conditionsOf(graph),
  }
}

function conditionsOf(graph: Graph): Set<string> {
  const conditions = new Set<string>()
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!
    if (node.op === 'If' || node.outputs.some((output) => conditions.has(output)))
      for (const input of node.inputs) conditions.add(input)
  }
  return conditions
}

/** The node, or nothing where its output is an initializer or another name by now. */
function fold(node: Node, state: State): Node[] {
  const output = node.outputs[0] ?? ''
  if (node.outputs.length !== 1 || output === '' || node.domain !== '' || subgraphs(node).length > 0) return [node]
  const source = node.inputs[0]
  if (state.conditions.has(output)) return [node]
  if (state.outputs.has(output)) return [withConstantTarget(node, state)]
  if (node.op === 'Identity' && source !== undefined) {
    state.aliases.set(output, source)
    return []
  }
  const constant = node.op === 'Constant' ? constantNode(node, output) : computed(node, output, state)
  if (constant === undefined) return [withConstantTarget(node, state)]
  state.initializers.set(output, constant)
  state.constants.add(output)
  return []
}

/** Reshape by sizes of which one is the batch: the chain of Shape, Gather and Concat that computed them is dead code then. */
function withConstantTarget(node: Node, state: State): Node {
  const [data = '', target = ''] = node.inputs
  if (node.op !== 'Reshape' || state.constants.has(target)) return node
  const shape = state.known.get(data)?.shape
  const sizes = reshapeTarget(shape, state.known.get(target)?.value, intAttribute(node, 'allowzero', 0) !== 0)
  if (sizes === undefined) return node
  const name = uniqueIn(state.names, `${target}.sizes`)
  state.initializers.set(name, int64s(name, [sizes.length], sizes.map(BigInt)))
  state.constants.add(name)
  return { ...node, inputs: [data, name] }
}

function constantNode(node: Node, output: string): ConstantTensor | undefined {
  const value = tensorAttribute(node, 'value')
  if (value !== undefined) return value.external === undefined ? { ...value, name: output } : undefined
  const [[key, attribute] = []] = node.attributes
  if (key === 'value_int' && attribute?.kind === 'int') return int64s(output, [], [attribute.value])
  if (key === 'value_ints' && attribute?.kind === 'ints')
    return int64s(output, [attribute.value.length], attribute.value)
  if (key === 'value_float' && attribute?.kind === 'float') return float32s(output, [], [attribute.value])
  if (key === 'value_floats' && attribute?.kind === 'floats')
    return float32s(output, [attribute.value.length], attribute.value)
  return undefined
}

function int64s(name: string, dims: readonly number[], values: readonly bigint[]): ConstantTensor {
  return constantOf(name, tensor('int64', dims, BigInt64Array.from(values)))
}

function float32s(name: string, dims: readonly number[], values: readonly number[]): ConstantTensor {
  return constantOf(name, tensor('float32', dims, Float32Array.from(values)))
}

/** A shape computation whose elements are known, or a node of constants. */
function computed(node: Node, output: string, state: State): ConstantTensor | undefined {
  const { type, shape, value } = state.known.get(output) ?? {}
  if (shape === undefined || !shape.every((dim) => typeof dim === 'number')) return undefined
  if (type === 'int64' && value?.length === elementCount(shape) && value.every(Number.isSafeInteger) && isExact(value))
    return int64s(
      output,
      shape,
      value.map((item) => BigInt(item!)),
    )
  if (!node.inputs.every((name, i) => state.constants.has(name) || mayBeLeftOut(node, i, name))) return undefined
  const result = evaluatorOf(node, elementCount(shape))?.(node, tensorsOf(node, state), shape)
  return result === undefined ? undefined : constantOf(output, result)
}

/** Of the ops that are evaluated only Slice has inputs that may be left out: its axes. */
function mayBeLeftOut(node: Node, i: number, name: string): boolean {
  return name === '' && node.op === 'Slice' && i >= 3
}

/** Numbers at the edge of the safe range stand for larger ones that were clamped. */
function isExact(value: Known['value']): boolean {
  return value?.every((item) => typeof item === 'number' && Math.abs(item) < Number.MAX_SAFE_INTEGER) === true
}

function tensorsOf(node: Node, state: State): (Tensor | undefined)[] {
  return node.inputs.map((name) => (name === '' ? undefined : tensorOf(state.initializers.get(name)!)))
}
