import { FormatError } from '@imago/tensor'
import type { Attribute, AttributeContent, Graph } from '../ir.js'
import { equalBytes } from './entries.js'
import { fieldsOf, keptOf, unlessEmpty } from './kept.js'
import { type Decoded, type Message, readMessage, schema, writeMessage } from './message.js'
import { attributeTable } from './tables.js'
import { readTensor, writeTensor } from './tensor.js'
import type { Pieces, Source } from './wire.js'

const attributeSchema = schema(attributeTable)

type Table = typeof attributeTable
type RawAttribute = Decoded<Table>
type Kind = Exclude<AttributeContent['kind'], 'other'>

/** AttributeProto.AttributeType of each kind. */
const types: { readonly [kind in Kind]: number } = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
}
const kindOfType = new Map(Object.entries(types).map(([kind, type]) => [type, kind as Kind]))
const contents = Object.keys(types) as Kind[]

/** How the graph inside an attribute is read: given by whoever reads graphs, which hold attributes themselves. */
export type ReadGraph = (bytes: Uint8Array, source: Source, depth: number) => Graph

/** The name of an attribute, and what it holds. Kinds that imago does not look into come as the bytes of the whole message. */
export function readAttribute(
  bytes: Uint8Array,
  source: Source,
  depth: number,
  readGraph: ReadGraph,
): [string, Attribute] {
  const raw = readMessage(attributeSchema, bytes, source, depth)
  const name = raw.name ?? ''
  const filled = contents.filter((kind) => raw[kind] !== undefined)
  const kind = raw.type === undefined ? filled[0] : kindOfType.get(raw.type)
  const plain = kind !== undefined && filled.every((other) => other === kind) && raw.reference === undefined
  const content = plain ? readContent(raw, kind, name, source, depth + 1, readGraph) : undefined
  return [name, content === undefined ? { kind: 'other', value: bytes } : { ...content, ...keptOf(raw.kept) }]
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()

function readContent(
  raw: RawAttribute,
  kind: Kind,
  name: string,
  source: Source,
  depth: number,
  readGraph: ReadGraph,
): AttributeContent | undefined {
  switch (kind) {
    case 'float':
      return { kind, value: raw.float ?? 0 }
    case 'int':
      return { kind, value: raw.int ?? 0n }
    case 'string': {
      const bytes = raw.string ?? new Uint8Array(0)
      const value = utf8.decode(bytes)
      return { kind, value, ...(!equalBytes(encoder.encode(value), bytes) && { bytes }) }
    }
    case 'strings': {
      const all = raw.strings ?? []
      const value = all.map((bytes) => utf8.decode(bytes))
      return value.every((text, i) => equalBytes(encoder.encode(text), all[i]!)) ? { kind, value } : undefined
    }
    case 'tensor':
      return { kind, value: readTensor(given(raw.tensor, name, source), source, depth) }
    case 'graph':
      return { kind, value: readGraph(given(raw.graph, name, source), source, depth) }
    case 'floats':
      return { kind, value: raw.floats ?? [] }
    case 'ints':
      return { kind, value: raw.ints ?? [] }
    case 'tensors':
      return { kind, value: (raw.tensors ?? []).map((bytes) => readTensor(bytes, source, depth)) }
    case 'graphs':
      return { kind, value: (raw.graphs ?? []).map((bytes) => readGraph(bytes, source, depth)) }
  }
}

function given(bytes: Uint8Array | undefined, name: string, source: Source): Uint8Array {
  if (bytes === undefined)
    throw new FormatError(source.name, `attribute ${JSON.stringify(name.slice(0, 80))} has no value`)
  return bytes
}

export function writeAttribute(
  name: string,
  attribute: Attribute,
  writeGraph: (graph: Graph) => Pieces,
): Pieces | Uint8Array {
  if (attribute.kind === 'other') return attribute.value
  const message = { ...unlessEmpty('name', name), ...writeContent(attribute, writeGraph), type: types[attribute.kind] }
  return writeMessage(attributeSchema, { ...message, ...fieldsOf(attribute) })
}

function writeContent(
  attribute: Exclude<AttributeContent, { kind: 'other' }>,
  writeGraph: (graph: Graph) => Pieces,
): Message<Table> {
  switch (attribute.kind) {
    case 'string':
      return { string: attribute.bytes ?? encoder.encode(attribute.value) }
    case 'strings':
      return { strings: attribute.value.map((text) => encoder.encode(text)) }
    case 'tensor':
      return { tensor: writeTensor(attribute.value) }
    case 'graph':
      return { graph: writeGraph(attribute.value) }
    case 'tensors':
      return { tensors: attribute.value.map(writeTensor) }
    case 'graphs':
      return { graphs: attribute.value.map(writeGraph) }
    case 'float':
      return { float: attribute.value }
    case 'int':
      return { int: attribute.value }
    case 'floats':
      return { floats: [...attribute.value] }
    case 'ints':
      return { ints: [...attribute.value] }
  }
}
