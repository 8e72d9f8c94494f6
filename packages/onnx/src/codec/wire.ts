import { FormatError } from '@imago/tensor'

/** What is being decoded, for error messages: its name, and where it begins in its buffer. */
export interface Source {
  readonly name: string
  readonly base: number
}

/** Bytes that are being read; `end` is where the message ends. */
export interface Reader {
  readonly bytes: Uint8Array
  readonly source: Source
  at: number
  readonly end: number
}

export const varint = 0
export const fixed64 = 1
export const delimited = 2
export const fixed32 = 5

export function reader(bytes: Uint8Array, source: Source = unnamed): Reader {
  return { bytes, source, at: 0, end: bytes.length }
}

const unnamed: Source = { name: 'ONNX message', base: 0 }

function placeOf(source: Source, bytes: Uint8Array, at: number): string {
  return `${source.name} at byte ${bytes.byteOffset - source.base + at}`
}

/** A fault in the bytes, with the offset in the whole file (all messages are views of it). */
export function fault(r: Reader, problem: string): FormatError {
  return new FormatError(placeOf(r.source, r.bytes, r.at), problem)
}

// The two halves of the varint read last: 64 bits without a BigInt for each of them.
let low = 0
let high = 0

function readHalves(r: Reader): void {
  const { bytes, end } = r
  let at = r.at
  low = 0
  high = 0
  for (let shift = 0; shift < 70; shift += 7) {
    if (at >= end) throw fault(r, 'the file is cut off inside a number')
    const byte = bytes[at++]!
    const bits = byte & 0x7f
    if (shift < 28) low |= bits << shift
    else if (shift === 28) {
      low |= bits << 28
      high = bits >>> 4
    } else if (shift < 63) high |= bits << (shift - 32)
    else {
      if (byte > 1) throw fault(r, 'a number of more than 64 bits')
      high |= bits << 31
    }
    if (byte < 0x80) {
      low >>>= 0
      high >>>= 0
      r.at = at
      return
    }
  }
  throw fault(r, 'a number of more than ten bytes')
}

/** A signed 64-bit integer, exact. */
export function readInt64(r: Reader): bigint {
  readHalves(r)
  if (high === 0) return BigInt(low)
  return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low))
}

/** A signed 64-bit integer into two words of a little-endian array. */
export function readWords(r: Reader, words: Uint32Array, i: number): void {
  readHalves(r)
  words[2 * i] = low
  words[2 * i + 1] = high
}

/** A signed 32-bit integer or enum (negative ones take ten bytes). */
export function readInt32(r: Reader): number {
  readHalves(r)
  return low | 0
}

/** A length or count; beyond the message's end it is a fault. */
function readLength(r: Reader): number {
  readHalves(r)
  const length = high * 2 ** 32 + low
  if (length > r.end - r.at)
    throw fault(r, `a field of ${length} bytes where ${r.end - r.at} are left; the file is cut off or damaged`)
  return length
}

/** Field number and wire type. */
export function readTag(r: Reader): { number: number; wire: number } {
  readHalves(r)
  if (high !== 0 || low >>> 3 === 0) throw fault(r, 'no valid field number')
  const wire = low & 7
  if (wire !== varint && wire !== fixed64 && wire !== delimited && wire !== fixed32)
    throw fault(r, `wire type ${wire} is not used by ONNX`)
  return { number: low >>> 3, wire }
}

export function readBytes(r: Reader): Uint8Array {
  const length = readLength(r)
  const from = r.at
  r.at += length
  return r.bytes.subarray(from, r.at)
}

/** Move behind a field's payload. */
export function skip(r: Reader, wire: number): void {
  if (wire === varint) readHalves(r)
  else if (wire === delimited) readBytes(r)
  else advance(r, wire === fixed64 ? 8 : 4)
}

/** Move by a fixed size and say where it began. */
export function advance(r: Reader, size: number): number {
  if (size > r.end - r.at) throw fault(r, `a field of ${size} bytes where ${r.end - r.at} are left`)
  const from = r.at
  r.at += size
  return from
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function text(bytes: Uint8Array, r: Reader): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new FormatError(placeOf(r.source, bytes, 0), 'a text that is not valid UTF-8', { cause })
  }
}

// Writing: a message is a list of pieces with their total size, so that weights are not copied before the very end.

export interface Pieces {
  readonly parts: Uint8Array[]
  size: number
}

export function append(pieces: Pieces, part: Uint8Array | Pieces): void {
  if (part instanceof Uint8Array) {
    pieces.parts.push(part)
    pieces.size += part.length
    return
  }
  for (const inner of part.parts) pieces.parts.push(inner)
  pieces.size += part.size
}

/** All pieces in one array. */
export function join(pieces: Pieces): Uint8Array {
  const bytes = new Uint8Array(pieces.size)
  let at = 0
  for (const part of pieces.parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** The bytes of an unsigned integer below 2⁵³. */
export function varintOf(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return bytes
}

/** The bytes of a signed 64-bit integer; negative ones take ten. */
export function varintOfInt64(value: bigint): number[] {
  if (value >= 0n && value < 0x1f_ffff_ffff_ffffn) return varintOf(Number(value))
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return bytes
}

export function tag(number: number, wire: number): number[] {
  return varintOf(number * 8 + wire)
}
