import { type Graph, inferShapes, intAttribute, type Model, type Node, nodeLabel, stringAttribute } from '@imago/onnx'
import type { DataType } from '@imago/tensor'
import { chooseOutput } from './choose-output.js'
import { producers } from './producers.js'

export interface Classifier {
  /** The model given, with one output: the classifier's, before its softmax where it ends in one that can be seen. */
  readonly model: Model
  /** The value that holds one number for each class. */
  readonly value: string
  /** What its numbers are. `unknown`: the graph does not tell; the first rows that come out do. */
  readonly gives: 'logits' | 'probabilities' | 'unknown'
  /** True where a Sigmoid was cut: with one output that is the logit of class 1, with several no softmax fits. */
  readonly sigmoid: boolean
  /** What was found and done, one sentence each. */
  readonly notes: readonly string[]
}

/** Ops that give another shape or type to the same numbers. */
const transparent = new Set(['Identity', 'Cast', 'Flatten', 'Reshape', 'Squeeze', 'Unsqueeze', 'Dropout'])

/** Ops whose result is a score that may be any number. */
const scoring = new Set([
  'Gemm',
  'MatMul',
  'Add',
  'Conv',
  'GlobalAveragePool',
  'AveragePool',
  'ReduceMean',
  'LogSoftmax',
])

/**
 * Find a model's logits: the input of the Softmax, LogSoftmax or Sigmoid that it ends in, or its output as it is. The graph
 * keeps every node; only its outputs change.
 *
 * @param wanted the output to take where the model has several
 */
export function classifier(model: Model, wanted?: string): Classifier {
  const { graph } = model
  const chosen = chooseOutput(graph, wanted)
  const path = walkBack(graph, chosen.value)
  const { end, isNormalised } = path
  const notes = [...chosen.notes]
  const asIs = (gives: Classifier['gives']): Classifier => ({
    model: { ...model, graph: withOutput(graph, chosen.value, chosen.type) },
    value: chosen.value,
    gives,
    sigmoid: false,
    notes,
  })
  if (end === undefined) return asIs('unknown')

  if (isCut(graph, end, isNormalised)) {
    notes.push(`the model ends in ${end.op} (${nodeLabel(end)}); its input is used as logits`)
    const cut = without(graph, [...path.nodes], end.inputs[0]!, chosen)
    return {
      model: { ...model, graph: cut.graph },
      value: cut.value,
      gives: 'logits',
      sigmoid: end.op === 'Sigmoid',
      notes,
    }
  }
  if (end.domain === 'ai.onnx.ml') {
    const transform = stringAttribute(end, 'post_transform', 'NONE')
    if (transform === 'NONE') return asIs('unknown')
    if (transform !== 'SOFTMAX') return asIs('probabilities')
    notes.push(`${nodeLabel(end)} ends in a softmax; its scores before that are used as logits`)
    const plain: Node = {
      ...end,
      attributes: new Map([...end.attributes, ['post_transform', { kind: 'string', value: 'NONE' }]]),
    }
    const nodes = graph.nodes.map((node) => (node === end ? plain : node))
    const scores = end.outputs[1]!
    const outputs = withOutput({ ...graph, nodes }, scores, 'float32')
    return { model: { ...model, graph: outputs }, value: scores, gives: 'logits', sigmoid: false, notes }
  }
  return asIs(!isNormalised && (scoring.has(end.op) || end.op === 'Log') ? 'logits' : 'unknown')
}

/** True for an end whose input are logits. A Normalizer behind it changes nothing of a softmax, and everything of sigmoids. */
function isCut(graph: Graph, end: Node, isNormalised: boolean): boolean {
  if (end.domain === 'ai.onnx.ml') return false
  if (end.op === 'Sigmoid') return !isNormalised
  return (end.op === 'Softmax' || end.op === 'LogSoftmax') && overClasses(graph, end)
}

interface Path {
  /** From the value on, the end left out. */
  readonly nodes: readonly Node[]
  readonly end: Node | undefined
  /** True where a Normalizer was passed. */
  readonly isNormalised: boolean
}

/** From a value backwards over ops that keep its numbers, to the one that made them. */
function walkBack(graph: Graph, value: string): Path {
  const made = producers(graph)
  const nodes: Node[] = []
  let isNormalised = false
  let node = made.get(value)
  while (node !== undefined && (transparent.has(node.op) || node.op === 'Normalizer')) {
    // A Normalizer makes probabilities sum to 1, which logits must not.
    if (node.op === 'Normalizer') isNormalised = true
    else nodes.push(node)
    node = made.get(node.inputs[0]!)
  }
  // Log(Softmax(x)) is LogSoftmax(x) in two nodes; a Log of anything else already gives logits.
  const beforeLog = node?.op === 'Log' ? made.get(node.inputs[0]!) : undefined
  return { nodes, end: beforeLog?.op === 'Softmax' ? beforeLog : node, isNormalised }
}

/** True unless the node's axis is known not to be that of the classes (any but the first). */
function overClasses(graph: Graph, node: Node): boolean {
  const axis = intAttribute(node, 'axis', -1)
  const rank = axis < 0 ? rankOf(graph, node.inputs[0]!) : undefined
  return (rank === undefined ? axis : axis + rank) !== 0
}

function rankOf(graph: Graph, value: string): number | undefined {
  try {
    return inferShapes(graph).get(value)?.shape?.length
  } catch {
    // Shapes that contradict each other are for ONNX Runtime to judge, which may never need them.
    return undefined
  }
}

/** The graph whose output is what the path makes of `from` in place of its end's result. */
function without(
  graph: Graph,
  path: readonly Node[],
  from: string,
  chosen: { readonly type: DataType | undefined },
): { readonly graph: Graph; readonly value: string } {
  const taken = new Set(graph.nodes.flatMap((node) => node.outputs))
  let value = from
  // Copies, as the nodes' own results may be wanted elsewhere.
  const copies = [...path].reverse().map((node): Node => {
    let name = `${node.outputs[0]}_logits`
    while (taken.has(name)) name += '_'
    taken.add(name)
    const copy = { ...node, name: '', inputs: [value, ...node.inputs.slice(1)], outputs: [name] }
    value = name
    return copy
  })
  const type = path.length > 0 || chosen.type === 'float32' ? chosen.type : undefined
  return { graph: withOutput({ ...graph, nodes: [...graph.nodes, ...copies] }, value, type), value }
}

function withOutput(graph: Graph, name: string, type: DataType | undefined): Graph {
  const known = graph.outputs.find((output) => output.name === name)
  return { ...graph, outputs: [known ?? { name, ...(type !== undefined && { type }) }] }
}
