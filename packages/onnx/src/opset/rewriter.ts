import { type DataType, type Tensor, UnsupportedError } from '@imago/tensor'
import { nodeLabel } from '../attributes.js'
import type { Attribute, Graph, Node, Shape } from '../ir.js'

/** What a rewriting rule may ask for. */
export interface Rewriter {
  /** Opset of the standard domain that the node was written for. */
  readonly version: number
  /** A new initializer, its name. */
  constant(hint: string, value: Tensor): string
  /** A name that no value has yet. */
  unique(hint: string): string
  /** The value of an initializer or a folded Constant node, where the name is one. */
  valueOf(name: string): Tensor | undefined
  shapeOf(name: string): Shape | undefined
  typeOf(name: string): DataType | undefined
  /** True where something reads this value. */
  isRead(name: string): boolean
}

/** A node of another opset as nodes of opset 17. */
export type Rewrite = (node: Node, to: Rewriter) => readonly Node[]

export function refuse(node: Node, why: string, version: number): never {
  throw new UnsupportedError(nodeLabel(node), `${why} (opset ${version}); export the model again with opset 17`)
}

export function without(node: Node, ...names: readonly string[]): Node {
  if (!names.some((name) => node.attributes.has(name))) return node
  return { ...node, attributes: new Map([...node.attributes].filter(([name]) => !names.includes(name))) }
}

export function withAttribute(node: Node, name: string, value: Attribute): Node {
  return { ...node, attributes: new Map([...node.attributes, [name, value]]) }
}

/** Inputs up to `i` with empty names where there are none, and `name` at `i`. */
export function withInput(node: Node, i: number, name: string): Node {
  const inputs = [...node.inputs]
  while (inputs.length < i) inputs.push('')
  inputs[i] = name
  return { ...node, inputs }
}

export function plain(op: string, inputs: readonly string[], outputs: readonly string[], name: string): Node {
  return { name, op, domain: '', inputs, outputs, attributes: new Map() }
}

/** Every name that a graph has, for making new ones. */
export function namesOf(graph: Graph): Names {
  const taken = new Set<string>(graph.initializers.keys())
  for (const input of graph.inputs) taken.add(input.name)
  for (const node of graph.nodes) for (const name of [...node.inputs, ...node.outputs]) taken.add(name)
  return { taken, next: new Map() }
}

export interface Names {
  readonly taken: Set<string>
  /** Where to go on counting for a hint, so that many alike cost no search. */
  readonly next: Map<string, number>
}

export function uniqueIn({ taken, next }: Names, hint: string): string {
  let name = hint
  let i = next.get(hint) ?? 1
  for (; taken.has(name); i++) name = `${hint}_${i}`
  next.set(hint, i)
  taken.add(name)
  return name
}
