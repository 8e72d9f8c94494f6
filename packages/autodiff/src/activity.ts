import { type Graph, type Node, readsOf, type ValueInfo } from '@imago/onnx'
import { type RuleTable, ruleKey } from './rule.js'

/** The values that a change of `wrt` can change by more than zero: where gradients may have to flow. */
export function activeValues(
  graph: Graph,
  wrt: readonly string[],
  rules: RuleTable,
  shapes: ReadonlyMap<string, ValueInfo>,
): ReadonlySet<string> {
  const active = new Set(wrt)
  for (const node of graph.nodes) {
    const entry = rules[ruleKey(node)]
    if (entry !== undefined && 'zero' in entry) continue
    if (!readsOf(node).some((input) => active.has(input))) continue
    for (const output of node.outputs) if (output !== '' && carriesGradient(shapes.get(output))) active.add(output)
  }
  return active
}

/** Values that nothing but a product with one of these masks reads → that product. */
export function maskedValues(graph: Graph, masks: ReadonlySet<string>): ReadonlyMap<string, string> {
  const readers = new Map<string, Node[]>()
  for (const node of graph.nodes)
    for (const name of readsOf(node)) readers.set(name, [...(readers.get(name) ?? []), node])
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
