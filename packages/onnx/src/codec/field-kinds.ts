import type { FieldKind, FieldTypes } from './message.js'
import {
  advance,
  append,
  delimited,
  fault,
  fixed32,
  fixed64,
  type Pieces,
  type Reader,
  readBytes,
  reader,
  readInt32,
  readInt64,
  readWords,
  tag,
  text,
  varint,
  varintOf,
  varintOfInt64,
} from './wire.js'

/** How one kind of field is read and written. `so` is what the message holds of the field so far. */
interface Kind<T, Parts = T> {
  read(r: Reader, wire: number, so: Parts | undefined): Parts
  /** Called once at the end where the parts are not yet the value. */
  finish?(parts: Parts, r: Reader): T
  write(pieces: Pieces, number: number, value: T): void
}

const utf8 = new TextEncoder()

function expect(r: Reader, wire: number, wanted: number): void {
  if (wire !== wanted) throw fault(r, `wire type ${wire} where ${wanted} belongs`)
}

function payload(pieces: Pieces, number: number, value: Uint8Array | Pieces): void {
  const size = value instanceof Uint8Array ? value.length : value.size
  append(pieces, Uint8Array.from([...tag(number, delimited), ...varintOf(size)]))
  append(pieces, value)
}

const string: Kind<string> = {
  read(r, wire) {
    expect(r, wire, delimited)
    return text(readBytes(r), r)
  },
  write: (pieces, number, value) => payload(pieces, number, utf8.encode(value)),
}

const bytes: Kind<Uint8Array> = {
  read(r, wire) {
    expect(r, wire, delimited)
    return readBytes(r)
  },
  write: payload,
}

/** A second occurrence would have to be merged with the first; no writer of ONNX makes one. */
const message: Kind<Uint8Array | Pieces> = {
  read(r, wire, so) {
    if (so !== undefined) throw fault(r, 'a message field that may occur once occurs twice')
    return bytes.read(r, wire, undefined)
  },
  write: payload,
}

const int64: Kind<bigint> = {
  read(r, wire) {
    expect(r, wire, varint)
    return readInt64(r)
  },
  write: (pieces, number, value) => append(pieces, Uint8Array.from([...tag(number, varint), ...varintOfInt64(value)])),
}

const int32: Kind<number> = {
  read(r, wire) {
    expect(r, wire, varint)
    return readInt32(r)
  },
  write: (pieces, number, value) => int64.write(pieces, number, BigInt(value)),
}

const float: Kind<number> = {
  read(r, wire) {
    expect(r, wire, fixed32)
    return view(r, 4).getFloat32(0, true)
  },
  write(pieces, number, value) {
    const head = tag(number, fixed32)
    const part = new Uint8Array(head.length + 4)
    part.set(head)
    new DataView(part.buffer).setFloat32(head.length, value, true)
    append(pieces, part)
  },
}

function view(r: Reader, size: number): DataView {
  const from = advance(r, size)
  return new DataView(r.bytes.buffer, r.bytes.byteOffset + from, size)
}

/** A repeated field, one tag an element. */
function repeated<T>(one: Kind<T>): Kind<T[]> {
  return {
    read(r, wire, so = []) {
      so.push(one.read(r, wire, undefined))
      return so
    },
    write(pieces, number, values) {
      for (const value of values) one.write(pieces, number, value)
    },
  }
}

/** A repeated scalar that some writers pack into one payload: both are read, unpacked is written (as proto2 declares it). */
function repeatedScalar<T>(one: Kind<T>, wireOfOne: number): Kind<T[]> {
  return {
    read(r, wire, so = []) {
      if (wire !== delimited) {
        so.push(one.read(r, wire, undefined))
        return so
      }
      const packed = reader(readBytes(r), r.source)
      while (packed.at < packed.end) so.push(one.read(packed, wireOfOne, undefined))
      return so
    },
    write: repeated(one).write,
  }
}

type Numbers = Float32Array | Float64Array | Int32Array | BigInt64Array | BigUint64Array

/** A repeated scalar that is declared packed: it becomes one typed array. */
function packed<T extends Numbers>(
  wireOfOne: number,
  make: (stretches: readonly Uint8Array[], r: Reader) => T,
  write: (values: T) => Uint8Array,
): Kind<T, Uint8Array[]> {
  return {
    read(r, wire, so = []) {
      if (wire === delimited) so.push(readBytes(r))
      else {
        expect(r, wire, wireOfOne)
        const from = r.at
        if (wire === varint) readInt64(r)
        else advance(r, wire === fixed32 ? 4 : 8)
        so.push(r.bytes.subarray(from, r.at))
      }
      return so
    },
    finish: make,
    write: (pieces, number, values) => payload(pieces, number, write(values)),
  }
}

function together(stretches: readonly Uint8Array[]): Uint8Array {
  const [first, ...more] = stretches
  if (first !== undefined && more.length === 0) return first
  const all = new Uint8Array(stretches.reduce((sum, stretch) => sum + stretch.length, 0))
  let at = 0
  for (const stretch of stretches) {
    all.set(stretch, at)
    at += stretch.length
  }
  return all
}

function fixedArray<T extends Numbers>(make: (buffer: ArrayBuffer) => T, size: number) {
  return (stretches: readonly Uint8Array[], r: Reader): T => {
    const all = together(stretches)
    if (all.length % size !== 0) throw fault(r, `${all.length} bytes of numbers of ${size} bytes each`)
    return make(all.slice().buffer as ArrayBuffer)
  }
}

/** The last byte of each varint has its upper bit clear, so counting those counts the numbers. */
function varintArray<T extends Numbers>(make: (count: number) => T, put: (inner: Reader, values: T) => void) {
  return (stretches: readonly Uint8Array[], r: Reader): T => {
    const all = together(stretches)
    let count = 0
    for (const byte of all) if (byte < 0x80) count++
    const values = make(count)
    put(reader(all, r.source), values)
    return values
  }
}

const asBytes = (values: Numbers): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

function varintBytes(values: Iterable<bigint | number>): Uint8Array {
  const all: number[] = []
  for (const value of values) for (const byte of varintOfInt64(BigInt(value))) all.push(byte)
  return Uint8Array.from(all)
}

function fillWords(inner: Reader, values: BigInt64Array | BigUint64Array): void {
  const words = new Uint32Array(values.buffer)
  for (let i = 0; inner.at < inner.end; i++) readWords(inner, words, i)
}

function fillInt32(inner: Reader, values: Int32Array): void {
  for (let i = 0; inner.at < inner.end; i++) values[i] = readInt32(inner)
}

export const kinds: { readonly [K in FieldKind]: Kind<FieldTypes[K], never> } = {
  string,
  strings: repeated(string),
  bytes,
  byteses: repeated(bytes),
  message,
  messages: repeated<Uint8Array | Pieces>({ ...bytes, write: payload }),
  int64,
  int32,
  float,
  int64s: repeatedScalar(int64, varint),
  floats: repeatedScalar(float, fixed32),
  packedFloats: packed(
    fixed32,
    fixedArray((buffer) => new Float32Array(buffer), 4),
    asBytes,
  ),
  packedDoubles: packed(
    fixed64,
    fixedArray((buffer) => new Float64Array(buffer), 8),
    asBytes,
  ),
  packedInt32s: packed(
    varint,
    varintArray((count) => new Int32Array(count), fillInt32),
    varintBytes,
  ),
  packedInt64s: packed(
    varint,
    varintArray((count) => new BigInt64Array(count), fillWords),
    varintBytes,
  ),
  packedUint64s: packed(
    varint,
    varintArray((count) => new BigUint64Array(count), fillWords),
    varintBytes,
  ),
} as unknown as { readonly [K in FieldKind]: Kind<FieldTypes[K], never> }
