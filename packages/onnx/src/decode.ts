import { ArgumentError, FormatError } from '@imago/tensor'
import { readMetadata, readOpsets } from './codec/entries.js'
import { readFunction } from './codec/function.js'
import { readGraph } from './codec/graph.js'
import { keepEmpty, keptOf } from './codec/kept.js'
import { readMessage, schema } from './codec/message.js'
import { modelTable } from './codec/tables.js'
import type { Source } from './codec/wire.js'
import type { Model } from './ir.js'
import { looksLike } from './looks-like.js'

const modelSchema = schema(modelTable)

export interface DecodeOptions {
  /** What errors call the bytes: a file name, say. Default `ONNX model`. */
  readonly name?: string
}

/**
 * The model in the bytes of an .onnx file. Weights in `raw_data` stay views of `bytes`; fields that imago does not look into
 * are kept, so that `encode` gives the same bytes again. External data is not read: see `readModel` and `loadExternalData`.
 * @throws FormatError saying where the bytes stop to be an ONNX model, or what they seem to be instead
 */
export function decode(bytes: Uint8Array, options: DecodeOptions = {}): Model {
  if (!(bytes instanceof Uint8Array)) throw new ArgumentError('decode', 'bytes', 'a Uint8Array', bytes)
  const source: Source = { name: options.name ?? 'ONNX model', base: bytes.byteOffset }
  try {
    // Not a Buffer, whose slice() is a view: all that is cut from these bytes must behave as a Uint8Array does.
    return readModelMessage(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), source)
  } catch (error) {
    const seeming = error instanceof FormatError ? looksLike(bytes) : undefined
    if (seeming === undefined) throw error
    throw new FormatError(source.name, `is no ONNX model; it seems to be ${seeming}`, { cause: error })
  }
}

function readModelMessage(bytes: Uint8Array, source: Source): Model {
  const raw = readMessage(modelSchema, bytes, source, 1)
  if (raw.graph === undefined) throw new FormatError(source.name, 'has no graph; it is cut off, or no ONNX model')
  if (raw.opsets === undefined)
    throw new FormatError(source.name, 'does not say which operator set it uses; it is cut off, or no ONNX model')
  keepEmpty(raw.kept, [2, raw.producer])
  return {
    irVersion: Number(raw.irVersion ?? 0n),
    opsets: readOpsets(raw.opsets, 8, source, raw.kept),
    producer: raw.producer ?? '',
    graph: readGraph(raw.graph, source, 2),
    metadata: readMetadata(raw.metadata, source),
    functions: (raw.functions ?? []).map((definition) => readFunction(definition, source, 2)),
    ...keptOf(raw.kept),
  }
}
