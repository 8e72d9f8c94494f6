import { tensor } from '@imago/tensor'
import { attribute, intAttribute } from '../attributes.js'
import { constantOf } from '../constant-tensor.js'
import { inferFixed } from '../infer-shapes.js'
import type { ConstantTensor, Graph, Node } from '../ir.js'
import { namesOf, uniqueIn } from '../opset/rewriter.js'
import { hasInput, type Known, numbers } from '../shapes/rule.js'
import { removeDeadCode } from './remove-dead-code.js'

/**
 * The graph with lists of tensors taken apart where their lengths are known: `chunk`, `unbind`, `stack` and Python lists come out of
 * exporters as SplitToSequence, SequenceConstruct, SequenceInsert, SequenceAt and ConcatFromSequence, which become Split and Concat. A list that something
 * else reads, or whose length cannot be told, stays as it is.
 *
 * Needs nodes in topological order and in a form of opset 13 or newer.
 */
export function unpackSequences(graph: Graph): Graph {
  if (!graph.nodes.some((node) => node.domain === '' && node.op.includes('Sequence'))) return graph
  const state = startOf(graph)
  const nodes = graph.nodes.flatMap((node) => [...unpack(node, state)])
  return removeDeadCode({ ...graph, nodes, initializers: state.initializers })
}

interface State {
  readonly known: ReadonlyMap<string, Known>
  readonly initializers: Map<string, ConstantTensor>
  /** List → the tensors in it. */
  readonly parts: Map<string, readonly string[]>
  readonly fresh: (hint: string) => string
}

function startOf(graph: Graph): State {
  const names = namesOf(graph)
  return {
    known: inferFixed(graph),
    initializers: new Map(graph.initializers),
    parts: new Map(),
    fresh: (hint) => uniqueIn(names, hint),
  }
}

/** The node in other words; a list's own node stays, for readers that do not become others (dead code otherwise). */
function unpack(node: Node, state: State): readonly Node[] {
  if (node.domain !== '') return [node]
  const [first = '', second = '', third = ''] = node.inputs
  const output = node.outputs[0] ?? ''
  const parts = state.parts.get(first)
  switch (node.op) {
    case 'SequenceConstruct':
      state.parts.set(output, node.inputs)
      return [node]
    case 'SequenceEmpty':
      state.parts.set(output, [])
      return [node]
    case 'SequenceInsert': {
      const at = third === '' ? parts?.length : indexIn(third, (parts?.length ?? 0) + 1, state)
      if (parts !== undefined && at !== undefined) state.parts.set(output, parts.toSpliced(at, 0, second))
      return [node]
    }
    case 'SplitToSequence':
      return splitInto(node, output, state) ?? [node]
    case 'SequenceAt': {
      const part = parts?.[indexIn(second, parts.length, state) ?? -1]
      return part === undefined ? [node] : [made(node.name, 'Identity', [part], output)]
    }
    case 'ConcatFromSequence':
      return parts === undefined || parts.length === 0 ? [node] : joined(node, parts, output, state)
    default:
      return [node]
  }
}

function splitInto(node: Node, output: string, state: State): readonly Node[] | undefined {
  const [data = '', split = ''] = node.inputs
  const shape = state.known.get(data)?.shape
  const given = intAttribute(node, 'axis', 0)
  const axis = given < 0 ? given + (shape?.length ?? Number.NaN) : given
  const sizes = sizesOf(shape?.[axis], hasInput(node, 1) ? state.known.get(split) : { shape: [], value: [1] })
  if (sizes === undefined || Number.isNaN(axis)) return undefined
  const pieces = sizes.map((_, i) => state.fresh(`${output}.${i}`))
  const cut = made(node.name, 'Split', [data, ints(`${output}.sizes`, sizes, state)], ...pieces)
  const nodes = [node, { ...cut, attributes: new Map([['axis', attribute(axis)]]) }]
  if (hasInput(node, 1) || intAttribute(node, 'keepdims', 1) !== 0) {
    state.parts.set(output, pieces)
    return nodes
  }
  const axes = ints(`${output}.axes`, [axis], state)
  const flat = pieces.map((piece) => state.fresh(`${piece}.flat`))
  state.parts.set(output, flat)
  return [...nodes, ...pieces.map((piece, i) => made('', 'Squeeze', [piece, axes], flat[i]!))]
}

/** How long each piece is: as listed, or of one size and the rest. */
function sizesOf(whole: number | string | undefined, split: Known | undefined): readonly number[] | undefined {
  const value = numbers(split?.value)
  if (value === undefined || split?.shape === undefined) return undefined
  if (split.shape.length === 1) return value
  const size = value[0] ?? 0
  if (typeof whole !== 'number' || size < 1 || whole / size > most) return undefined
  return Array.from({ length: Math.ceil(whole / size) }, (_, i) => Math.min(size, whole - i * size))
}

/** Longer lists come of loops, not of layers. */
const most = 1024

function joined(node: Node, parts: readonly string[], output: string, state: State): readonly Node[] {
  const axis = attribute(intAttribute(node, 'axis', 0))
  const concat = (inputs: readonly string[]): Node => ({
    ...made(node.name, 'Concat', inputs, output),
    attributes: new Map([['axis', axis]]),
  })
  if (intAttribute(node, 'new_axis', 0) === 0) return [concat(parts)]
  const axes = ints(`${output}.axes`, [intAttribute(node, 'axis', 0)], state)
  const raised = parts.map((part) => state.fresh(`${part}.raised`))
  return [...parts.map((part, i) => made('', 'Unsqueeze', [part, axes], raised[i]!)), concat(raised)]
}

function indexIn(name: string, length: number, { known }: State): number | undefined {
  const value = known.get(name)?.value?.[0]
  if (typeof value !== 'number') return undefined
  const index = value < 0 ? value + length : value
  return index >= 0 && index < length ? index : undefined
}

function ints(hint: string, values: readonly number[], { fresh, initializers }: State): string {
  const name = fresh(hint)
  initializers.set(name, constantOf(name, tensor('int64', [values.length], BigInt64Array.from(values, BigInt))))
  return name
}

/** One of the nodes that stand for another keeps its name, so that messages still point into the file; names are unique. */
function made(name: string, op: string, inputs: readonly string[], ...outputs: string[]): Node {
  return { name, op, domain: '', inputs, outputs, attributes: new Map() }
}
