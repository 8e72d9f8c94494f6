import { type Graph, type Node, readsOf, type ValueInfo } from '@imago/onnx'
import { entryOf, type RuleTable } from './rule.js'

/** The values that a change of `wrt` can change by more than zero: where gradients may have to flow. */
export function activeValues(
  graph: Graph,
  wrt: readonly string[],
  rules: RuleTable,
  shapes: ReadonlyMap<string, ValueInfo>,
): Set<string> {
  const active = new Set(wrt)
  for (const node of graph.nodes) for (const output of activeOutputs(node, active, rules, shapes)) active.add(output)
  return active
}

/** The outputs of one node that are active where these of its inputs are. */
export function activeOutputs(
  node: Node,
  active: ReadonlySet<string>,
  rules: RuleTable,
  shapes: ReadonlyMap<string, ValueInfo>,
): readonly string[] {
  const entry = entryOf(node, rules)
  if (entry !== undefined && 'zero' in entry) return []
  if (!readsOf(node).some((input) => active.has(input))) return []
  return node.outputs.filter((output) => output !== '' && carriesGradient(shapes.get(output)))
}

/** Value → the nodes that read it. */
export function readersOf(graph: Graph): ReadonlyMap<string, readonly Node[]> {
  const readers = new Map<string, Node[]>()
  for (const node of graph.nodes)
    for (const name of readsOf(node)) {
      const known = readers.get(name)
      if (known === undefined) readers.set(name, [node])
      else known.push(node)
    }
  return readers
}

/** Values that nothing but a product with one of these masks reads → that product. */
export function maskedValues(
  graph: Graph,
  masks: ReadonlySet<string>,
  readers: ReadonlyMap<string, readonly Node[]>,
): ReadonlyMap<string, string> {
  const outputs = new Set(graph.outputs.map((output) => output.name))
  const masked = new Map<string, string>()
  for (const [name, [reader, ...others]] of readers)
    if (others.length === 0 && reader?.op === 'Mul' && masks.has(reader.inputs[1] ?? '') && !outputs.has(name))
      masked.set(name, reader.outputs[0]!)
  return masked
}

// A value of unknown type may well be a float: better a needless error than a gradient lost in silence.
function carriesGradient(info: ValueInfo | undefined): boolean {
  return info?.type === undefined || /^(float|bfloat)/.test(info.type)
}
