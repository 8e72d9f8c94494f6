import { FormatError } from '@imago/tensor'
import { nodeLabel } from '../attributes.js'
import type { Attribute, ConstantTensor, Graph, Node } from '../ir.js'
import { readAttribute, writeAttribute } from './attribute.js'
import { plainDomain } from './entries.js'
import { fieldsOf, keepEmpty, keptOf, unlessEmpty } from './kept.js'
import { field, readMessage, schema, writeMessage } from './message.js'
import { graphTable, nodeTable } from './tables.js'
import { readTensor, writeTensor } from './tensor.js'
import { readValueInfo, writeValueInfo } from './value-info.js'
import type { Pieces, Source } from './wire.js'

const graphSchema = schema(graphTable)
const nodeSchema = schema(nodeTable)

export function readGraph(bytes: Uint8Array, source: Source, depth: number): Graph {
  const raw = readMessage(graphSchema, bytes, source, depth)
  keepEmpty(raw.kept, [2, raw.name])
  const initializers = new Map<string, ConstantTensor>()
  for (const initializer of raw.initializers ?? []) {
    const constant = readTensor(initializer, source, depth + 1)
    if (initializers.has(constant.name))
      throw new FormatError(source.name, `two initializers are called ${JSON.stringify(constant.name.slice(0, 80))}`)
    initializers.set(constant.name, constant)
  }
  const infos = (list: readonly Uint8Array[] = []) => list.map((info) => readValueInfo(info, source, depth + 1))
  return {
    name: raw.name ?? '',
    nodes: (raw.nodes ?? []).map((node) => readNode(node, source, depth + 1)),
    inputs: infos(raw.inputs),
    outputs: infos(raw.outputs),
    initializers,
    values: infos(raw.values),
    ...keptOf(raw.kept),
  }
}

export function writeGraph(graph: Graph): Pieces {
  return writeMessage(graphSchema, {
    nodes: graph.nodes.map(writeNode),
    ...unlessEmpty('name', graph.name),
    initializers: Array.from(graph.initializers, ([name, constant]) => writeTensor({ ...constant, name })),
    inputs: graph.inputs.map(writeValueInfo),
    outputs: graph.outputs.map(writeValueInfo),
    values: graph.values.map(writeValueInfo),
    ...fieldsOf(graph),
  })
}

const encoder = new TextEncoder()

export function readNode(bytes: Uint8Array, source: Source, depth: number): Node {
  const raw = readMessage(nodeSchema, bytes, source, depth)
  const { name, op, domain, kept } = raw
  keepEmpty(kept, [3, name], [4, op], [7, domain])
  const plain = plainDomain(domain ?? '')
  if (plain !== (domain ?? '')) kept.push(field(7, encoder.encode(domain)))
  const attributes = new Map<string, Attribute>()
  const node: Node = {
    name: name ?? '',
    op: op ?? '',
    domain: plain,
    inputs: raw.inputs ?? [],
    outputs: raw.outputs ?? [],
    attributes,
    ...keptOf(kept),
  }
  for (const part of raw.attributes ?? []) {
    const [key, attribute] = readAttribute(part, source, depth + 1, readGraph)
    if (attributes.has(key)) throw new FormatError(`${source.name}: ${nodeLabel(node)}`, `has attribute "${key}" twice`)
    attributes.set(key, attribute)
  }
  return node
}

export function writeNode(node: Node): Pieces {
  return writeMessage(nodeSchema, {
    inputs: [...node.inputs],
    outputs: [...node.outputs],
    ...unlessEmpty('name', node.name),
    ...unlessEmpty('op', node.op),
    attributes: Array.from(node.attributes, ([name, attribute]) => writeAttribute(name, attribute, writeGraph)),
    ...unlessEmpty('domain', node.domain),
    ...fieldsOf(node),
  })
}
