import { UnsupportedError } from '@imago/tensor'
import { writeEntries, writeOpsets } from './codec/entries.js'
import { writeFunction } from './codec/function.js'
import { writeGraph } from './codec/graph.js'
import { fieldsOf, unlessEmpty } from './codec/kept.js'
import { schema, writeMessage } from './codec/message.js'
import { modelTable } from './codec/tables.js'
import { join, type Pieces } from './codec/wire.js'
import type { Model } from './ir.js'

const modelSchema = schema(modelTable)

/** Protobuf messages end here; larger models need external data. */
export const longest: number = 2 ** 31 - 1

/**
 * The bytes of an .onnx file: fields in the order of their numbers, as every protobuf library writes them. `encode(decode(bytes))`
 * equals `bytes` for files in that form.
 * @throws UnsupportedError above 2 GiB; `writeModel` puts weights into a second file then
 */
export function encode(model: Model): Uint8Array {
  const pieces = encodePieces(model)
  if (pieces.size > longest)
    throw new UnsupportedError(
      'encode',
      `the model takes ${pieces.size} bytes and a protobuf message holds ${longest}; use writeModel`,
    )
  return join(pieces)
}

/** The same, not yet in one array. */
export function encodePieces(model: Model): Pieces {
  return writeMessage(modelSchema, {
    irVersion: BigInt(model.irVersion),
    ...unlessEmpty('producer', model.producer),
    graph: writeGraph(model.graph),
    opsets: writeOpsets(model.opsets, 8, model.kept?.fields),
    metadata: writeEntries(model.metadata),
    functions: model.functions.map(writeFunction),
    ...fieldsOf(model),
  })
}
