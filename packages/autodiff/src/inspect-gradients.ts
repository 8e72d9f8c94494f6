import { type Graph, inferShapes, intAttribute, type Node, nodeLabel, typeOfCode, type ValueInfo } from '@imago/onnx'
import { ImagoError } from '@imago/tensor'
import { activeValues } from './activity.js'
import { defaultRules } from './default-rules.js'
import { entryOf, type RuleTable, ruleKey } from './rule.js'
import { vjp } from './vjp.js'

export interface NodeGradient {
  readonly node: Node
  /** Whether gradients pass the node, stop there on purpose, or the node is refused on any path that needs it. */
  readonly answer: 'rule' | 'zero' | 'refused'
  /** Why nothing flows back, or why not and what to do. */
  readonly reason?: string
  /** True where a gradient has to pass the node: between a weight that is trained and an output. */
  readonly needed: boolean
  /** What is trained before a node that is needed and refused; freezing all of it makes the rest trainable. */
  readonly behind?: readonly string[]
}

export interface InspectOptions {
  readonly rules?: RuleTable
  /** What will be trained. Default: every float initializer. */
  readonly wrt?: readonly string[]
}

/**
 * What `vjp` would answer for each node of the graph. Where a gradient has to pass, the node's rule is tried on the node alone, with the
 * shapes that it has in the graph: a rule may still refuse a form of its op.
 */
export function inspectGradients(graph: Graph, options: InspectOptions = {}): NodeGradient[] {
  const { rules = defaultRules } = options
  const floats = [...graph.initializers.values()].filter((constant) => constant.type.startsWith('float'))
  const wrt = options.wrt ?? floats.map((constant) => constant.name)
  // Without anything to train no rule is tried, and a graph whose shapes contradict each other can still be listed.
  const shapes = wrt.length === 0 ? new Map<string, ValueInfo>() : inferShapes(graph)
  const active = activeValues(graph, wrt, rules, new Map(shapes))
  const live = reaching(graph, active)
  const before = new Map(wrt.map((name) => [name, new Set([name])]))
  // Behind a node that is refused shapes may be unknown, which is no fault of the nodes there.
  const dark = new Set<string>()
  return graph.nodes.map((node) => {
    const needed = node.inputs.some((name) => active.has(name)) && node.outputs.some((name) => live.has(name))
    const behind = new Set(node.inputs.flatMap((name) => [...(before.get(name) ?? [])]))
    for (const output of node.outputs) if (active.has(output)) before.set(output, behind)
    const answer = answerOf(node, rules)
    if (!needed || answer.answer === 'zero') return { node, ...answer, needed: false }
    if (node.inputs.some((name) => dark.has(name) && shapes.get(name)?.shape === undefined)) {
      for (const output of node.outputs) dark.add(output)
      return { node, ...answer, needed, ...(answer.reason !== undefined && { behind: [...behind] }) }
    }
    const refusal = answer.reason ?? refusalOf(node, { graph, rules, shapes, active, live })
    if (refusal === undefined) return { node, answer: 'rule', needed }
    for (const output of node.outputs) dark.add(output)
    return { node, answer: 'refused', reason: refusal, needed, behind: [...behind] }
  })
}

function answerOf(node: Node, rules: RuleTable): { answer: NodeGradient['answer']; reason?: string } {
  const key = ruleKey(node)
  const entry = entryOf(node, rules)
  if (entry === undefined)
    return key === 'Constant'
      ? { answer: 'zero', reason: 'it is a constant' }
      : {
          answer: 'refused',
          reason: `there is no gradient rule for ${key}; replace the op, freeze the weights before it, or give vjp a rule of your own`,
        }
  if ('zero' in entry) return { answer: 'zero', reason: entry.zero }
  if ('refused' in entry) return { answer: 'refused', reason: entry.refused }
  const to = key === 'Cast' ? typeOfCode(intAttribute(node, 'to', 1)) : undefined
  if (to !== undefined && !/float/.test(to)) return { answer: 'zero', reason: `it casts to ${to}` }
  return { answer: 'rule' }
}

interface Scene {
  readonly graph: Graph
  readonly rules: RuleTable
  readonly shapes: ReadonlyMap<string, ValueInfo>
  readonly active: ReadonlySet<string>
  readonly live: ReadonlySet<string>
}

/** Why the node's rule refuses it, if it does. */
function refusalOf(node: Node, { graph, rules, shapes, active, live }: Scene): string | undefined {
  const named = (name: string): ValueInfo => shapes.get(name) ?? { name }
  const inputs = [...new Set(node.inputs)].filter((name) => name !== '')
  const constants = inputs.filter((name) => graph.initializers.has(name))
  const outputs = node.outputs.filter((name) => active.has(name) && live.has(name))
  const alone: Graph = {
    name: '',
    nodes: [node],
    inputs: inputs.filter((name) => !graph.initializers.has(name)).map(named),
    outputs: outputs.map(named),
    initializers: new Map(constants.map((name) => [name, graph.initializers.get(name)!])),
    values: [],
  }
  try {
    vjp(alone, { wrt: inputs.filter((name) => active.has(name)), seeds: outputs, rules, shapes: new Map(shapes) })
    return undefined
  } catch (error) {
    if (!(error instanceof ImagoError)) throw error
    const prefix = `${nodeLabel(node)} cannot be differentiated: `
    return error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message
  }
}

/** The active values from which an output can be reached. */
function reaching(graph: Graph, active: ReadonlySet<string>): Set<string> {
  const live = new Set(graph.outputs.map((output) => output.name).filter((name) => active.has(name)))
  for (const node of [...graph.nodes].reverse())
    if (node.outputs.some((name) => live.has(name)))
      for (const name of node.inputs) if (active.has(name)) live.add(name)
  return live
}
