import { type DataType, FormatError } from '@imago/tensor'
import { typeCode, typeOfCode } from '../data-types.js'
import type { ConstantTensor, ExternalData } from '../ir.js'
import { byteSize, checkedDims, spellDims } from './element-size.js'
import { readEntries, writeEntries } from './entries.js'
import { fieldsOf, keepEmpty, keptOf, unlessEmpty } from './kept.js'
import { type Decoded, type Message, readMessage, schema, writeMessage } from './message.js'
import { tensorTable } from './tables.js'
import type { Pieces, Source } from './wire.js'

const tensorSchema = schema(tensorTable)

type RawTensor = Decoded<typeof tensorTable>

/** Bytes of `data_location: DEFAULT` where a file spells it out. */
const defaultLocation = Uint8Array.of(14 * 8, 0)
const externalLocation = 1

export function readTensor(bytes: Uint8Array, source: Source, depth: number): ConstantTensor {
  const raw = readMessage(tensorSchema, bytes, source, depth)
  const { name, kept } = raw
  const where = `${source.name}: tensor ${JSON.stringify((name ?? '').slice(0, 80))}`
  const { dims, count } = checkedDims(where, raw.dims ?? [])
  const code = raw.type ?? 0
  const type = typeOfCode(code)
  if (byteSize(code, 0) === undefined) throw new FormatError(where, `has the unknown element type ${code}`)
  if (raw.segment !== undefined) throw new FormatError(where, 'comes in segments, which no known writer makes')
  keepEmpty(kept, [8, name])
  if (raw.location === 0) kept.push(defaultLocation)
  return {
    name: name ?? '',
    type: type ?? 'uint8',
    dims,
    ...elements(raw, code, count, where, source),
    ...(type === undefined && { foreign: code }),
    ...keptOf(kept),
  }
}

function elements(
  raw: RawTensor,
  code: number,
  count: number,
  where: string,
  source: Source,
): Pick<ConstantTensor, 'raw' | 'values' | 'external'> {
  const listed = [raw.floats, raw.int32s, raw.strings, raw.int64s, raw.doubles, raw.uint64s].filter(
    (list) => list !== undefined,
  )
  const places = listed.length + (raw.raw === undefined ? 0 : 1) + (raw.location === externalLocation ? 1 : 0)
  if (places > 1) throw new FormatError(where, 'has its elements in more than one place')
  const size = byteSize(code, count)!
  if (raw.location === externalLocation) return { external: readExternal(raw, size, where, source) }
  if (raw.raw !== undefined) {
    if (code === 8) throw new FormatError(where, 'has texts as raw bytes')
    if (raw.raw.length !== size)
      throw new FormatError(
        where,
        `needs ${size} bytes for its dims ${spellDims(raw.dims)}, the file has ${raw.raw.length}`,
      )
    return { raw: raw.raw }
  }
  const values = readValues(raw, code, where)
  const got = values?.length ?? 0
  const wanted = valueCount(code, count)
  if (got !== wanted)
    throw new FormatError(where, `needs ${wanted} values for its dims ${spellDims(raw.dims)}, the file has ${got}`)
  return values === undefined ? {} : { values }
}

/** Complex numbers take two values; elements below a byte share one. */
function valueCount(code: number, count: number): number {
  if (code === 14 || code === 15) return 2 * count
  return code >= 21 && code !== 24 ? byteSize(code, count)! : count
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readValues(raw: RawTensor, code: number, where: string): ConstantTensor['values'] {
  const { field } = fieldFor(code)
  for (const other of ['floats', 'int32s', 'strings', 'int64s', 'doubles', 'uint64s'] as const)
    if (other !== field && raw[other] !== undefined)
      throw new FormatError(where, `of element type ${code} has its values in the field for another type`)
  if (field === 'strings') {
    try {
      return raw.strings?.map((bytes) => utf8.decode(bytes))
    } catch (cause) {
      throw new FormatError(where, 'has a text that is not valid UTF-8', { cause })
    }
  }
  const values = raw[field]
  return code === 12 && values !== undefined ? Array.from(values as BigUint64Array, Number) : values
}

/** The typed field of TensorProto that holds elements of a type. */
function fieldFor(code: number): { field: 'floats' | 'int32s' | 'strings' | 'int64s' | 'doubles' | 'uint64s' } {
  if (code === 1 || code === 14) return { field: 'floats' }
  if (code === 11 || code === 15) return { field: 'doubles' }
  if (code === 7) return { field: 'int64s' }
  if (code === 12 || code === 13) return { field: 'uint64s' }
  return { field: code === 8 ? 'strings' : 'int32s' }
}

function readExternal(raw: RawTensor, size: number, where: string, source: Source): ExternalData {
  const entries = readEntries(raw.external, source)
  const byKey = new Map(entries)
  if (byKey.size !== entries.length) throw new FormatError(where, 'says twice where its external data is')
  const location = byKey.get('location') ?? ''
  if (location === '') throw new FormatError(where, 'does not say which file its external data is in')
  const offset = decimal(byKey.get('offset') ?? '0', 'offset', where)
  const given = byKey.get('length')
  const length = given === undefined ? undefined : decimal(given, 'length', where)
  if (length !== undefined && length !== size)
    throw new FormatError(
      where,
      `needs ${size} bytes for its dims ${spellDims(raw.dims)}, its external data has ${length}`,
    )
  return { location, offset, ...(length !== undefined && { length }), entries }
}

function decimal(text: string, key: string, where: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value))
    throw new FormatError(where, `has the external data ${key} ${JSON.stringify(text.slice(0, 40))}`)
  return value
}

export function writeTensor(constant: ConstantTensor): Pieces {
  const code = constant.foreign ?? typeCode(constant.type)
  const message: Message<typeof tensorTable> = {
    dims: constant.dims.map((dim) => BigInt(dim)),
    type: code,
    ...unlessEmpty('name', constant.name),
    ...fieldsOf(constant),
  }
  if (constant.external !== undefined)
    return writeMessage(tensorSchema, {
      ...message,
      external: writeEntries(constant.external.entries),
      location: externalLocation,
    })
  if (constant.raw !== undefined) return writeMessage(tensorSchema, { ...message, raw: constant.raw })
  if (constant.values !== undefined) Object.assign(message, writeValues(constant.values, code, constant.type))
  return writeMessage(tensorSchema, message)
}

const encoder = new TextEncoder()

function writeValues(
  values: NonNullable<ConstantTensor['values']>,
  code: number,
  type: DataType,
): Message<typeof tensorTable> {
  if (type === 'string') return { strings: (values as readonly string[]).map((text) => encoder.encode(text)) }
  const { field } = fieldFor(code)
  const numbers = values as Iterable<number>
  const wide = (): bigint[] => Array.from(values as Iterable<number | bigint>, (value) => BigInt(value))
  if (field === 'floats') return { floats: values instanceof Float32Array ? values : Float32Array.from(numbers) }
  if (field === 'doubles') return { doubles: values instanceof Float64Array ? values : Float64Array.from(numbers) }
  if (field === 'int64s') return { int64s: values instanceof BigInt64Array ? values : BigInt64Array.from(wide()) }
  if (field === 'uint64s') return { uint64s: values instanceof BigUint64Array ? values : BigUint64Array.from(wide()) }
  return { int32s: values instanceof Int32Array ? values : Int32Array.from(numbers) }
}
