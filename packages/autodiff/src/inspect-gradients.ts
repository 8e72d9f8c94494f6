import { type Graph, intAttribute, type Node, typeOfCode } from '@imago/onnx'
import { defaultRules } from './default-rules.js'
import { type RuleTable, ruleKey } from './rule.js'

export interface NodeGradient {
  readonly node: Node
  /** Whether gradients pass the node, stop there on purpose, or the node is refused on any path that needs it. */
  readonly answer: 'rule' | 'zero' | 'refused'
  /** Why nothing flows back, or why not. */
  readonly reason?: string
}

/** What `vjp` would answer for each node of the graph, whether or not a gradient has to pass there. */
export function inspectGradients(graph: Graph, rules: RuleTable = defaultRules): NodeGradient[] {
  return graph.nodes.map((node) => {
    const key = ruleKey(node)
    const entry = rules[key]
    if (entry === undefined)
      return key === 'Constant'
        ? { node, answer: 'zero', reason: 'it is a constant' }
        : { node, answer: 'refused', reason: `there is no gradient rule for ${key}` }
    if ('zero' in entry) return { node, answer: 'zero', reason: entry.zero }
    if ('refused' in entry) return { node, answer: 'refused', reason: entry.refused }
    const to = key === 'Cast' ? typeOfCode(intAttribute(node, 'to', 1)) : undefined
    if (to !== undefined && !/float/.test(to)) return { node, answer: 'zero', reason: `it casts to ${to}` }
    return { node, answer: 'rule' }
  })
}
