import { FormatError } from '@imago/tensor'
import { kinds } from './field-kinds.js'
import { append, delimited, type Pieces, reader, readTag, type Source, skip, tag, text, varintOf } from './wire.js'

/** What a field can hold; `messages` and `byteses` are repeated. Submessages are read as bytes and decoded by who knows them. */
export interface FieldTypes {
  string: string
  strings: string[]
  bytes: Uint8Array
  byteses: Uint8Array[]
  message: Uint8Array | Pieces
  messages: (Uint8Array | Pieces)[]
  int64: bigint
  int32: number
  float: number
  int64s: bigint[]
  floats: number[]
  packedFloats: Float32Array
  packedDoubles: Float64Array
  packedInt32s: Int32Array
  packedInt64s: BigInt64Array
  packedUint64s: BigUint64Array
}

export type FieldKind = keyof FieldTypes
export type Table = { readonly [field: string]: readonly [number: number, kind: FieldKind] }
/** A message as its table names it; fields that the table does not know are in `kept`, tag and payload. */
export type Message<T extends Table> = { [F in keyof T]?: FieldTypes[T[F][1]] } & { kept?: Uint8Array[] }
/** As it is read: submessages are bytes. */
export type Decoded<T extends Table> = {
  [F in keyof T]?: T[F][1] extends 'message'
    ? Uint8Array
    : T[F][1] extends 'messages'
      ? Uint8Array[]
      : FieldTypes[T[F][1]]
} & { kept: Uint8Array[] }

/** A table prepared for reading by number and writing in the order of numbers. */
export interface Schema<T extends Table> {
  /** Carries the type only. */
  readonly of?: T
  readonly byNumber: ReadonlyMap<number, readonly [name: string, kind: FieldKind]>
  readonly inOrder: readonly (readonly [name: string, number: number, kind: FieldKind])[]
}

export function schema<const T extends Table>(table: T): Schema<T> {
  const rows = Object.entries(table).map(([name, [number, kind]]) => [name, number, kind] as const)
  return {
    byNumber: new Map(rows.map(([name, number, kind]) => [number, [name, kind]])),
    inOrder: rows.sort((a, b) => a[1] - b[1]),
  }
}

/** Protobuf's own parsers stop at 100 messages inside each other. */
const deepest = 100

export function readMessage<T extends Table>(
  { byNumber }: Schema<T>,
  bytes: Uint8Array,
  source: Source,
  depth: number,
): Decoded<T> {
  if (depth > deepest) throw new FormatError(source.name, `more than ${deepest} messages inside each other`)
  const message: { [field: string]: unknown } & { kept: Uint8Array[] } = { kept: [] }
  const r = reader(bytes, source)
  while (r.at < r.end) {
    const from = r.at
    const { number, wire } = readTag(r)
    const row = byNumber.get(number)
    if (row === undefined) {
      skip(r, wire)
      message.kept.push(bytes.subarray(from, r.at))
      continue
    }
    const [name, kind] = row
    message[name] = kinds[kind].read(r, wire, message[name] as never)
  }
  for (const [name, kind] of byNumber.values()) {
    const finish = kinds[kind].finish
    if (finish !== undefined && message[name] !== undefined) message[name] = finish(message[name] as never, r)
  }
  return message as Decoded<T>
}

/** A message's bytes, fields in the order of their numbers as every protobuf library writes them; kept ones among them. */
export function writeMessage<T extends Table>({ inOrder, byNumber }: Schema<T>, message: Message<T>): Pieces {
  const pieces: Pieces = { parts: [], size: 0 }
  const kept = (message.kept ?? []).map((bytes) => ({ number: readTag(reader(bytes)).number, bytes }))
  kept.sort((a, b) => a.number - b.number)
  let next = 0
  const keepUntil = (limit: number): void => {
    for (; next < kept.length && kept[next]!.number < limit; next++) {
      const name = byNumber.get(kept[next]!.number)?.[0]
      if (name === undefined || message[name] === undefined) append(pieces, kept[next]!.bytes)
    }
  }
  for (const [name, number, kind] of inOrder) {
    keepUntil(number)
    const value = message[name]
    if (value !== undefined) kinds[kind].write(pieces, number, value as never)
  }
  keepUntil(Number.POSITIVE_INFINITY)
  return pieces.size <= 256 ? compact(pieces) : pieces
}

/** Small messages in one piece: fewer parts to carry upwards. */
function compact(pieces: Pieces): Pieces {
  const bytes = new Uint8Array(pieces.size)
  let at = 0
  for (const part of pieces.parts) {
    bytes.set(part, at)
    at += part.length
  }
  return { parts: [bytes], size: bytes.length }
}

/** A field with a payload of bytes, as it is kept. */
export function field(number: number, payload: Uint8Array): Uint8Array {
  const head = [...tag(number, delimited), ...varintOf(payload.length)]
  const bytes = new Uint8Array(head.length + payload.length)
  bytes.set(head)
  bytes.set(payload, head.length)
  return bytes
}

/** The payloads of a kept field that holds bytes. */
export function keptPayloads(kept: readonly Uint8Array[] | undefined, number: number): Uint8Array[] {
  return (kept ?? []).flatMap((bytes) => {
    const r = reader(bytes)
    const found = readTag(r)
    if (found.number !== number || found.wire !== delimited) return []
    return [bytes.subarray(bytes.length - lengthOf(bytes, r.at))]
  })
}

function lengthOf(bytes: Uint8Array, at: number): number {
  let end = at
  while (bytes[end]! >= 0x80) end++
  return bytes.length - end - 1
}

/** A kept string field, '' where there is none. */
export function keptString(kept: readonly Uint8Array[] | undefined, number: number): string {
  const payload = keptPayloads(kept, number).at(-1)
  return payload === undefined ? '' : text(payload, reader(payload))
}
