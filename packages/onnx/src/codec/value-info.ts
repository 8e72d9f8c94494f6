import type { DataType } from '@imago/tensor'
import { typeCode, typeOfCode } from '../data-types.js'
import type { Dim, Shape, ValueInfo } from '../ir.js'
import { equalBytes } from './entries.js'
import { fieldsOf, keepEmpty, keptOf, unlessEmpty } from './kept.js'
import { field, keptPayloads, readMessage, schema, writeMessage } from './message.js'
import { dimTable, shapeTable, tensorTypeTable, typeTable, valueInfoTable } from './tables.js'
import { join, type Pieces, type Source } from './wire.js'

const dimSchema = schema(dimTable)
const shapeSchema = schema(shapeTable)
const tensorTypeSchema = schema(tensorTypeTable)
const typeSchema = schema(typeTable)
const valueInfoSchema = schema(valueInfoTable)

interface TensorType {
  readonly type?: DataType
  readonly shape?: Shape
}

export function readValueInfo(bytes: Uint8Array, source: Source, depth: number): ValueInfo {
  const { name, type, kept } = readMessage(valueInfoSchema, bytes, source, depth)
  keepEmpty(kept, [1, name])
  const told = type === undefined ? {} : readType(type, source, depth + 1)
  // Sequences, maps, denotations and other things beside type and shape: kept, and written while type and shape stay.
  if (type !== undefined && !equalBytes(type, join(writeType(told)))) kept.push(field(2, type))
  return { name: name ?? '', ...told, ...keptOf(kept) }
}

function readType(bytes: Uint8Array, source: Source, depth: number): TensorType {
  const { tensor } = readMessage(typeSchema, bytes, source, depth)
  if (tensor === undefined) return {}
  const { element, shape } = readMessage(tensorTypeSchema, tensor, source, depth + 1)
  const type = typeOfCode(element ?? 0)
  const dims = shape && readMessage(shapeSchema, shape, source, depth + 2).dims
  return {
    ...(type !== undefined && { type }),
    ...(shape !== undefined && { shape: (dims ?? []).map((dim) => readDim(dim, source, depth + 3)) }),
  }
}

/** Without value and symbol, and where exporters write −1 or an empty symbol, the size is unknown. */
function readDim(bytes: Uint8Array, source: Source, depth: number): Dim {
  const { value, symbol } = readMessage(dimSchema, bytes, source, depth)
  if (value !== undefined) return value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER) ? '?' : Number(value)
  return symbol === undefined || symbol === '' ? '?' : symbol
}

export function writeValueInfo(info: ValueInfo): Pieces {
  const spelled = keptPayloads(info.kept?.fields, 2).find((bytes) => saysSame(bytes, info))
  const told = info.type !== undefined || info.shape !== undefined
  const type = spelled ?? (told ? writeType(info) : undefined)
  return writeMessage(valueInfoSchema, {
    ...unlessEmpty('name', info.name),
    ...(type !== undefined && { type }),
    kept: (fieldsOf(info).kept ?? []).filter((bytes) => keptPayloads([bytes], 2).length === 0),
  })
}

function saysSame(bytes: Uint8Array, info: TensorType): boolean {
  const { type, shape } = readType(bytes, { name: 'kept type', base: 0 }, 3)
  return type === info.type && shape?.join() === info.shape?.join() && shape?.length === info.shape?.length
}

function writeType({ type, shape }: TensorType): Pieces {
  const tensor = writeMessage(tensorTypeSchema, {
    ...(type !== undefined && { element: typeCode(type) }),
    ...(shape !== undefined && { shape: writeMessage(shapeSchema, { dims: shape.map(writeDim) }) }),
  })
  return writeMessage(typeSchema, { tensor })
}

function writeDim(dim: Dim): Pieces {
  if (typeof dim === 'number') return writeMessage(dimSchema, { value: BigInt(dim) })
  return writeMessage(dimSchema, dim === '?' ? {} : { symbol: dim })
}
