import { tensorOf } from '../constant-tensor.js'
import { inferFixed } from '../infer-shapes.js'
import type { Graph, Node } from '../ir.js'
import { type Names, namesOf, uniqueIn } from '../opset/rewriter.js'
import type { Known } from '../shapes/rule.js'
import { type FoldOptions, foldConstants } from './fold-constants.js'
import { renameReads } from './node-names.js'

/**
 * `foldConstants`, and each If whose condition is known beforehand replaced by the branch that it takes: torch.onnx writes one where a
 * module asks for a size (squeeze of an axis that may be 1), which is settled once shapes are. What cannot be decided stays.
 *
 * Needs nodes in topological order.
 */
export function decideBranches(graph: Graph, options: FoldOptions = {}): Graph {
  const hasBranches = (of: Graph): boolean => of.nodes.some((node) => node.op === 'If' && node.domain === '')
  let open = graph
  while (hasBranches(open)) {
    const decided = withoutKnown(foldConstants(open, { ...options, conditions: true }))
    if (decided === undefined) break
    open = decided
  }
  return foldConstants(open, options)
}

/** Undefined where no If is decided. */
function withoutKnown(graph: Graph): Graph | undefined {
  const known = inferFixed(graph)
  const names = namesOf(graph)
  const initializers = new Map(graph.initializers)
  let found = false
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    const branch = node.op === 'If' && node.domain === '' ? branchOf(node, graph, known) : undefined
    if (branch === undefined) return [node]
    found = true
    const renamed = namesInside(branch, names)
    for (const [name, constant] of branch.initializers)
      initializers.set(renamed.get(name)!, { ...constant, name: renamed.get(name)! })
    const body = branch.nodes.map((inner): Node => {
      const outputs = inner.outputs.map((name) => renamed.get(name) ?? name)
      const name = node.name === '' || inner.name === '' ? '' : `${node.name}/${inner.name}`
      return { ...renameReads(inner, renamed), name, outputs }
    })
    const results = node.outputs.flatMap((name, i): Node[] => {
      const from = branch.outputs[i]?.name
      if (name === '' || from === undefined) return []
      const inputs = [renamed.get(from) ?? from]
      return [{ name: '', op: 'Identity', domain: '', inputs, outputs: [name], attributes: new Map() }]
    })
    return [...body, ...results]
  })
  return found ? { ...graph, nodes, initializers } : undefined
}

function branchOf(node: Node, graph: Graph, known: ReadonlyMap<string, Known>): Graph | undefined {
  const [condition = ''] = node.inputs
  const constant = graph.initializers.get(condition)
  const isFed = graph.inputs.some((input) => input.name === condition)
  const value =
    constant !== undefined && !isFed && constant.external === undefined
      ? Number(tensorOf(constant).data[0])
      : known.get(condition)?.value?.[0]
  if (typeof value !== 'number') return undefined
  const taken = node.attributes.get(value === 0 ? 'else_branch' : 'then_branch')
  return taken?.kind === 'graph' ? taken.value : undefined
}

/** Two branches may use one name, so what is made inside gets another. */
function namesInside(branch: Graph, names: Names): Map<string, string> {
  const made = [...branch.initializers.keys(), ...branch.nodes.flatMap((node) => node.outputs)]
  return new Map(made.filter((name) => name !== '').map((name) => [name, uniqueIn(names, name)]))
}
