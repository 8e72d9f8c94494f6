import type { FunctionDefinition } from '../ir.js'
import { readOpsets, writeOpsets } from './entries.js'
import { readNode, writeNode } from './graph.js'
import { fieldsOf, keepEmpty, keptOf, unlessEmpty } from './kept.js'
import { readMessage, schema, writeMessage } from './message.js'
import { functionTable } from './tables.js'
import type { Pieces, Source } from './wire.js'

const functionSchema = schema(functionTable)

export function readFunction(bytes: Uint8Array, source: Source, depth: number): FunctionDefinition {
  const raw = readMessage(functionSchema, bytes, source, depth)
  keepEmpty(raw.kept, [1, raw.name], [10, raw.domain])
  return {
    name: raw.name ?? '',
    domain: raw.domain ?? '',
    inputs: raw.inputs ?? [],
    outputs: raw.outputs ?? [],
    nodes: (raw.nodes ?? []).map((node) => readNode(node, source, depth + 1)),
    opsets: readOpsets(raw.opsets, 9, source, raw.kept),
    ...keptOf(raw.kept),
  }
}

export function writeFunction(definition: FunctionDefinition): Pieces {
  return writeMessage(functionSchema, {
    ...unlessEmpty('name', definition.name),
    inputs: [...definition.inputs],
    outputs: [...definition.outputs],
    nodes: definition.nodes.map(writeNode),
    opsets: writeOpsets(definition.opsets, 9, definition.kept?.fields),
    ...unlessEmpty('domain', definition.domain),
    ...fieldsOf(definition),
  })
}
