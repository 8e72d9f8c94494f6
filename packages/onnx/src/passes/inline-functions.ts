import { FormatError, UnsupportedError } from '@imago/tensor'
import { nodeLabel } from '../attributes.js'
import { readAttribute } from '../codec/attribute.js'
import { readGraph } from '../codec/graph.js'
import { keptPayloads, keptString, readMessage, schema } from '../codec/message.js'
import { attributeTable } from '../codec/tables.js'
import type { Attribute, FunctionDefinition, Graph, Model, Node } from '../ir.js'
import { type Names, namesOf, uniqueIn } from '../opset/rewriter.js'
import { mapGraphs, renameReads, subgraphs } from './node-names.js'

/** More nodes than this come of functions that call each other over and over, not of models. */
const most = 200_000
const source = { name: 'function attribute', base: 0 }
const attributeSchema = schema(attributeTable)
const overloadOfNode = 8
const overloadOfFunction = 13
const defaults = 11

/**
 * The model with calls of its own functions (as torch.onnx's dynamo exporter writes them) replaced by their nodes. Values inside get
 * names of their own; a call's attributes take the place of the references to them.
 * @throws FormatError for functions that call themselves; UnsupportedError where a function is written for another opset
 */
export function inlineFunctions(model: Model): Model {
  if (model.functions.length === 0) return model
  const functions = new Map(
    model.functions.map((definition) => [keyOf(definition, overloadOfFunction, definition.name), definition]),
  )
  const budget = { left: most }
  const called = new Set(model.functions.map((definition) => definition.name))
  const graph = expand(model.graph, { called, functions, opsets: model.opsets, names: namesOf(model.graph), budget })
  return { ...model, graph, functions: [], opsets: allOpsets(model, functions) }
}

interface Scope {
  /** Names of functions, whatever their domain: other nodes need no look. */
  readonly called: ReadonlySet<string>
  readonly functions: ReadonlyMap<string, FunctionDefinition>
  readonly opsets: ReadonlyMap<string, number>
  readonly names: Names
  readonly budget: { left: number }
}

function keyOf(owner: Pick<Node | FunctionDefinition, 'domain' | 'kept'>, overload: number, name: string): string {
  return JSON.stringify([owner.domain, name, keptString(owner.kept?.fields, overload)])
}

/** Domains that only functions import are needed by the nodes that took their place; those of the functions are not. */
function allOpsets(model: Model, functions: ReadonlyMap<string, FunctionDefinition>): ReadonlyMap<string, number> {
  const own = new Set([...functions.values()].map((definition) => definition.domain))
  const all = new Map(model.opsets)
  for (const definition of functions.values())
    for (const [domain, version] of definition.opsets) if (!all.has(domain)) all.set(domain, version)
  for (const domain of own) if (domain !== '' && domain !== 'com.microsoft') all.delete(domain)
  return all
}

/** A node still to be placed, and the functions it comes from. */
interface Pending {
  readonly node: Node
  readonly inside: readonly string[]
}

function expand(graph: Graph, scope: Scope, inside: readonly string[] = []): Graph {
  const nodes: Node[] = []
  // The next node is at the end, so that a call's nodes go where the call was.
  const pending: Pending[] = graph.nodes.map((node) => ({ node, inside })).reverse()
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const called = scope.called.has(next.node.op)
    const key = called ? keyOf(next.node, overloadOfNode, next.node.op) : ''
    const definition = scope.functions.get(key)
    if (definition === undefined) {
      nodes.push(expandSubgraphs(next.node, scope, next.inside))
      continue
    }
    if (next.inside.includes(key)) throw new FormatError(nodeLabel(next.node), 'is a function that calls itself')
    scope.budget.left -= definition.nodes.length
    if (scope.budget.left < 0) throw new FormatError(nodeLabel(next.node), `functions make more than ${most} nodes`)
    const path = [...next.inside, key]
    for (const node of bodyOf(next.node, definition, scope).reverse()) pending.push({ node, inside: path })
  }
  return { ...graph, nodes }
}

function expandSubgraphs(node: Node, scope: Scope, inside: readonly string[]): Node {
  if (subgraphs(node).length === 0) return node
  return { ...node, attributes: mapGraphs(node, (graph) => expand(graph, scope, inside)) }
}

/** The nodes of a function as this call has them. */
function bodyOf(call: Node, definition: FunctionDefinition, scope: Scope): Node[] {
  for (const [domain, version] of definition.opsets) {
    const own = scope.opsets.get(domain)
    if (own !== undefined && own !== version)
      throw new UnsupportedError(
        nodeLabel(call),
        `is a function for opset ${version} of "${domain}" in a model of opset ${own}; export the model again in one opset`,
      )
  }
  const names = new Map<string, string>()
  for (const [i, name] of definition.inputs.entries()) names.set(name, call.inputs[i] ?? '')
  for (const [i, name] of definition.outputs.entries())
    if ((call.outputs[i] ?? '') !== '' && !definition.inputs.includes(name)) names.set(name, call.outputs[i]!)
  const prefix = call.name === '' ? definition.name : call.name
  for (const node of definition.nodes)
    for (const output of node.outputs)
      if (output !== '' && !names.has(output)) names.set(output, uniqueIn(scope.names, `${prefix}/${output}`))

  const passed = definition.outputs.filter((name) => definition.inputs.includes(name))
  const copies = passed.map((name): Node => {
    const output = call.outputs[definition.outputs.indexOf(name)] ?? ''
    const input = call.inputs[definition.inputs.indexOf(name)] ?? ''
    return { name: '', op: 'Identity', domain: '', inputs: [input], outputs: [output], attributes: new Map() }
  })
  const given = attributesOf(call, definition)
  const body = definition.nodes.map((node): Node => {
    const renamed = renameReads(resolve(node, given), names)
    const name = node.name === '' ? '' : `${prefix}/${node.name}`
    return { ...renamed, name, outputs: node.outputs.map((output) => names.get(output) ?? output) }
  })
  return [...body, ...copies]
}

/** What the call gives, and the function's defaults for the rest. */
function attributesOf(call: Node, definition: FunctionDefinition): ReadonlyMap<string, Attribute> {
  const byDefault = keptPayloads(definition.kept?.fields, defaults).map((bytes) =>
    readAttribute(bytes, source, 1, readGraph),
  )
  return new Map([...byDefault, ...call.attributes])
}

/** A node with references to the function's attributes replaced by what the call gives; one that is not given is left out. */
function resolve(node: Node, given: ReadonlyMap<string, Attribute>): Node {
  const attributes = new Map<string, Attribute>()
  for (const [name, attribute] of node.attributes) {
    const reference =
      attribute.kind === 'other' ? readMessage(attributeSchema, attribute.value, source, 1).reference : undefined
    const value = reference === undefined ? attribute : given.get(reference)
    if (value !== undefined) attributes.set(name, value)
  }
  const resolved = { ...node, attributes }
  if (subgraphs(resolved).length === 0) return resolved
  const inner = mapGraphs(resolved, (graph) => ({ ...graph, nodes: graph.nodes.map((one) => resolve(one, given)) }))
  return { ...resolved, attributes: inner }
}
