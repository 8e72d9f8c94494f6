import { type Tensor, UnsupportedError } from '@imago/tensor'
import { tensorAttribute } from '../attributes.js'
import { constantOf, tensorOf } from '../constant-tensor.js'
import { inferShapes } from '../infer-shapes.js'
import type { ConstantTensor, Graph, Model, Node } from '../ir.js'
import { newerRewrites } from '../opset/newer.js'
import { olderRewrites } from '../opset/older.js'
import { namesOf, type Rewriter, uniqueIn } from '../opset/rewriter.js'
import { inlineFunctions } from './inline-functions.js'
import { mapGraphs, readsOf, subgraphs } from './node-names.js'
import { unpackSequences } from './unpack-sequences.js'

/** The opset that imago's passes and gradients are written for. */
export const standardOpset = 17
/** The newest opset whose changes since 17 are known here. */
const newest = 28

/**
 * The model in the forms of opset 17, with the same results: attributes that became inputs (Dropout's ratio, axes of Squeeze and
 * ReduceSum, bounds of Clip, pads, …), Softmax over flattened axes, old BatchNormalization, initializers that old files list among
 * the inputs; and from newer opsets back where opset 17 can say it. A model of a newer opset with an op that opset 17 has
 * not is returned as it is, in its own opset. Model-local functions are inlined first; lists of tensors are taken apart last (`unpackSequences`).
 *
 * Nodes must be in topological order. Shapes that the file says of intermediates are kept.
 * @throws UnsupportedError for forms that have no equivalent (Upsample, broadcasting along an axis, opsets that are unknown)
 */
export function normaliseOpset(model: Model): Model {
  const normal = inOneForm(inlineFunctions(model))
  const graph = unpackSequences(normal.graph)
  return graph === normal.graph ? normal : { ...normal, graph }
}

function inOneForm(whole: Model): Model {
  const version = whole.opsets.get('')
  if (version === undefined || version === standardOpset) return { ...whole, graph: plainInputs(whole) }
  if (version < 1 || version > newest)
    throw new UnsupportedError(
      'normaliseOpset',
      `opset ${version} is not known; export the model with opset 17 to ${newest}`,
    )
  const graph = rewriteGraph(plainInputs(whole), version, undefined)
  if (graph === undefined) return { ...whole, graph: plainInputs(whole) }
  const opsets = new Map([...whole.opsets, ['', standardOpset]] as const)
  if (graph.nodes.some((node) => node.domain === 'com.microsoft')) opsets.set('com.microsoft', 1)
  return { ...whole, irVersion: Math.max(8, whole.irVersion), opsets, graph }
}

/** Files before IR 4 had to list initializers among the inputs. */
function plainInputs(model: Model): Graph {
  const { graph } = model
  if (model.irVersion >= 4) return graph
  return { ...graph, inputs: graph.inputs.filter((input) => !graph.initializers.has(input.name)) }
}

/** Undefined where a newer node has no form in opset 17. */
function rewriteGraph(graph: Graph, version: number, around: Rewriter | undefined): Graph | undefined {
  const initializers = new Map(graph.initializers)
  const to = rewriterOf(graph, version, initializers, around)
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const inner = rewriteSubgraphs(node, version, to)
    const rewritten = inner && rewriteNode(inner, to)
    if (rewritten === undefined) return undefined
    for (const one of rewritten) nodes.push(one)
  }
  return { ...graph, nodes, initializers }
}

function rewriteNode(node: Node, to: Rewriter): readonly Node[] | undefined {
  if (node.domain !== '') return [node]
  if (to.version < standardOpset) return olderRewrites.get(node.op)?.(node, to) ?? [node]
  const newer = newerRewrites.get(node.op)
  return newer?.can(node, to) ? newer.rewrite(node, to) : undefined
}

function rewriteSubgraphs(node: Node, version: number, to: Rewriter): Node | undefined {
  if (subgraphs(node).length === 0) return node
  let complete = true
  const attributes = mapGraphs(node, (graph) => {
    const rewritten = rewriteGraph(graph, version, to)
    complete &&= rewritten !== undefined
    return rewritten ?? graph
  })
  return complete ? { ...node, attributes } : undefined
}

function rewriterOf(
  graph: Graph,
  version: number,
  initializers: Map<string, ConstantTensor>,
  around: Rewriter | undefined,
): Rewriter {
  const names = namesOf(graph)
  const shapes = inferShapes(graph, { opset: version })
  const read = new Set(graph.outputs.map((output) => output.name))
  for (const node of graph.nodes) for (const name of readsOf(node)) read.add(name)
  const constants = new Map<string, ConstantTensor>()
  for (const node of graph.nodes) {
    const value = node.op === 'Constant' && node.domain === '' ? constantIn(node) : undefined
    if (value !== undefined) constants.set(node.outputs[0] ?? '', value)
  }
  // Names of the graph around are avoided too: a subgraph may read them.
  const unique = (hint: string): string =>
    around === undefined ? uniqueIn(names, hint) : uniqueIn(names, around.unique(hint))
  return {
    version,
    unique,
    constant(hint: string, value: Tensor) {
      const name = unique(hint)
      initializers.set(name, constantOf(name, value))
      return name
    },
    valueOf(name) {
      const constant = initializers.get(name) ?? constants.get(name)
      return constant === undefined || constant.external ? around?.valueOf(name) : tensorOf(constant)
    },
    typeOf: (name) => shapes.get(name)?.type ?? around?.typeOf(name),
    shapeOf: (name) => shapes.get(name)?.shape ?? around?.shapeOf(name),
    isRead: (name) => read.has(name),
  }
}

function constantIn(node: Node): ConstantTensor | undefined {
  const value = tensorAttribute(node, 'value')
  if (value !== undefined) return value
  const ints = node.attributes.get('value_ints')
  if (ints?.kind !== 'ints') return undefined
  return { name: '', type: 'int64', dims: [ints.value.length], values: ints.value }
}
