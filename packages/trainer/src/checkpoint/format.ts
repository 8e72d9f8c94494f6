import { createHash } from 'node:crypto'
import { endianness } from 'node:os'
import {
  type DataType,
  describe,
  elementCount,
  FormatError,
  type Tensor,
  tensorMap,
  UnsupportedError,
  zeros,
} from '@imago/tensor'
import type { TrainingState } from '../state.js'

/**
 * A checkpoint file: 8 bytes magic, format version (uint32), header length (uint32), the header as JSON, the tensors' bytes
 * in the header's order, SHA-256 of everything before. Little-endian. The header lists each tensor's name, type and dims.
 */
const magic = Uint8Array.from('IMAGOCKP', (letter) => letter.charCodeAt(0))
const version = 1
const start = 16
const digestBytes = 32
const stored = ['float32', 'float64', 'float16', 'bfloat16', 'int8', 'int16', 'int32', 'int64'] as const
const alsoStored = ['uint8', 'uint16', 'uint32', 'uint64', 'bool'] as const
const types: ReadonlySet<string> = new Set<DataType>([...stored, ...alsoStored])

interface Entry {
  readonly name: string
  readonly type: DataType
  readonly dims: readonly number[]
}

type Header = Omit<TrainingState, 'tensors'> & { readonly tensors: readonly Entry[] }

/** The file's bytes but for the digest, tensors by reference. */
export function* encodeState(state: TrainingState): Generator<Uint8Array> {
  if (endianness() !== 'LE')
    throw new UnsupportedError('checkpoints', 'this machine is big-endian and the file format is little-endian')
  const { tensors, ...rest } = state
  const entries = Object.entries(tensors).map(([name, { type, dims }]) => ({ name, type, dims: [...dims] }))
  for (const { name, type } of entries)
    if (!types.has(type)) throw new UnsupportedError(`checkpoint of ${describe(name)}`, `no format for type ${type}`)
  const header: Header = { ...rest, tensors: entries }
  const json = new TextEncoder().encode(JSON.stringify(header))
  const front = new Uint8Array(start)
  front.set(magic)
  new DataView(front.buffer).setUint32(8, version, true)
  new DataView(front.buffer).setUint32(12, json.length, true)
  yield front
  yield json
  for (const name in tensors) yield bytesOf(tensors[name]!)
}

/** @throws FormatError naming `where` and what is wrong; nothing of the file is used before its digest agrees */
export function decodeState(bytes: Uint8Array, where: string): TrainingState {
  const refuse = (problem: string): never => {
    throw new FormatError(where, problem)
  }
  if (bytes.length < start + digestBytes) refuse(`${bytes.length} bytes are too few for a checkpoint`)
  if (magic.some((byte, i) => bytes[i] !== byte)) refuse('not an imago checkpoint (its first bytes differ)')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = view.getUint32(8, true)
  if (found !== version) refuse(`checkpoint format ${found}; this imago reads format ${version}`)
  const body = bytes.subarray(0, bytes.length - digestBytes)
  if (
    !createHash('sha256')
      .update(body)
      .digest()
      .equals(bytes.subarray(bytes.length - digestBytes))
  )
    refuse('damaged (its SHA-256 does not agree)')
  const headerEnd = start + view.getUint32(12, true)
  if (headerEnd > body.length) refuse('its header is longer than the file')
  const header = parse(new TextDecoder().decode(body.subarray(start, headerEnd)), refuse)
  const tensors = tensorMap()
  let at = headerEnd
  for (const { name, type, dims } of header.tensors) {
    const value = readTensor(type, dims, body, at, () => refuse(`tensor ${describe(name)} is longer than the file`))
    if (name in tensors) refuse(`two tensors are named ${describe(name)}`)
    tensors[name] = value
    at += bytesOf(value).length
  }
  if (at !== body.length) refuse(`${body.length - at} bytes too many`)
  return { ...header, tensors }
}

function readTensor(
  type: DataType,
  dims: readonly number[],
  body: Uint8Array,
  at: number,
  tooLong: () => never,
): Tensor {
  if (elementCount(dims) > body.length - at) tooLong()
  const value = zeros(type, dims)
  const target = bytesOf(value)
  if (at + target.length > body.length) tooLong()
  target.set(body.subarray(at, at + target.length))
  return value
}

function parse(text: string, refuse: (problem: string) => never): Header {
  let header: Header
  try {
    header = JSON.parse(text) as Header
  } catch {
    return refuse('its header is not JSON')
  }
  const counts = [header?.step, header?.epoch, header?.batch, header?.optimizer?.step, header?.rng?.position]
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0))
    refuse('step, epoch, batch and positions must be whole numbers ≥ 0')
  const meter = header.meter
  const plain =
    isObject(header.config) &&
    isObject(meter) &&
    isObject(meter.parts) &&
    Array.isArray(header.history) &&
    Array.isArray(header.rng.key) &&
    typeof header.optimizer.name === 'string' &&
    Array.isArray(header.tensors)
  if (!plain) refuse('its header lacks a field')
  for (const entry of header.tensors)
    if (
      !(isObject(entry) && typeof entry.name === 'string' && types.has(entry.type) && Array.isArray(entry.dims)) ||
      !entry.dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)
    )
      refuse(`its header describes a tensor that cannot be: ${JSON.stringify(entry)}`)
  return header
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function bytesOf(value: Tensor): Uint8Array {
  const data = value.data as Float32Array
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
