import { FormatError } from '@imago/tensor'
import type { Attribute, ConstantTensor, Graph, Node } from './ir.js'

/** What `Builder.op` takes as an attribute: numbers are ints, `float(x)` makes a float; arrays likewise. */
export type AttributeValue =
  | number
  | bigint
  | string
  | readonly number[]
  | readonly bigint[]
  | readonly string[]
  | ConstantTensor
  | Graph
  | Attribute

/** A float attribute (a plain number is taken for an int). */
export function float(value: number): Attribute {
  return { kind: 'float', value }
}

/** A list of floats. */
export function floats(value: readonly number[]): Attribute {
  return { kind: 'floats', value }
}

/** The attribute that a plain value stands for. */
export function attribute(value: AttributeValue): Attribute {
  if (typeof value === 'number' || typeof value === 'bigint') return { kind: 'int', value: BigInt(value) }
  if (typeof value === 'string') return { kind: 'string', value }
  if (Array.isArray(value))
    return typeof value[0] === 'string'
      ? { kind: 'strings', value: value as string[] }
      : { kind: 'ints', value: (value as (number | bigint)[]).map((item) => BigInt(item)) }
  if ('kind' in value) return value as Attribute
  if ('nodes' in value) return { kind: 'graph', value: value as Graph }
  return { kind: 'tensor', value: value as ConstantTensor }
}

type Values = { readonly [A in Attribute as A['kind']]: A['value'] }

function read<K extends keyof Values>(node: Node, name: string, kind: K): Values[K] | undefined {
  const found = node.attributes.get(name)
  if (found === undefined) return undefined
  if (found.kind !== kind)
    throw new FormatError(nodeLabel(node), `attribute "${name}" is of kind ${found.kind}, not ${kind}`)
  return found.value as Values[K]
}

/** An int attribute as a number; int64 values beyond ±2⁵³ (INT64_MAX as "to the end") are clamped there. */
export function intAttribute<D extends number | undefined>(node: Node, name: string, fallback: D): number | D {
  const value = read(node, name, 'int')
  return value === undefined ? fallback : safe(value)
}

/** A list of ints, each clamped like `intAttribute`'s; `fallback` where the node has none. */
export function intsAttribute<D extends readonly number[] | undefined>(
  node: Node,
  name: string,
  fallback: D,
): readonly number[] | D {
  const value = read(node, name, 'ints')
  return value === undefined ? fallback : value.map(safe)
}

/** A float attribute; `fallback` where the node has none. */
export function floatAttribute<D extends number | undefined>(node: Node, name: string, fallback: D): number | D {
  return read(node, name, 'float') ?? fallback
}

/** A string attribute; `fallback` where the node has none. */
export function stringAttribute<D extends string | undefined>(node: Node, name: string, fallback: D): string | D {
  return read(node, name, 'string') ?? fallback
}

/** A tensor attribute; undefined where the node has none. */
export function tensorAttribute(node: Node, name: string): ConstantTensor | undefined {
  return read(node, name, 'tensor')
}

/** A node as messages name it. */
export function nodeLabel(node: Node): string {
  const op = node.domain === '' ? node.op : `${node.domain}.${node.op}`
  return node.name === '' ? `${op} node that makes "${node.outputs[0] ?? ''}"` : `${op} node "${node.name}"`
}

function safe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER
  return Number(value)
}
