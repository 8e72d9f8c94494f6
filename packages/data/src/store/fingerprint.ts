import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { ArgumentError, ShapeError, type Tensor, type TensorMap, UnsupportedError } from '@imago/tensor'

/** What a row of an input is: name, type, dims without the first. In the order of names. */
export interface InputSignature {
  readonly name: string
  readonly type: string
  readonly dims: readonly number[]
}

/** Formats of the store: 1 knows rows by SHA-256, 2 by CRC-32. */
export type StoreFormat = 1 | 2

/** Bytes of a fingerprint: by chance another row has the same once in 2³² times (format 1: 2⁴⁸). */
export function fingerprintBytes(format: StoreFormat): number {
  return format === 1 ? 6 : 4
}

/** @throws ArgumentError without inputs, UnsupportedError for text */
export function signatureOf(caller: string, inputs: TensorMap): InputSignature[] {
  const names = Object.keys(inputs).sort()
  if (names.length === 0) throw new ArgumentError(caller, 'inputs', 'at least one tensor by name', inputs)
  return names.map((name) => {
    const { type, dims } = inputs[name]!
    if (type === 'string' || type === 'int4' || type === 'uint4')
      throw new UnsupportedError(`${caller}: inputs.${name}`, `rows of type ${type} have no fingerprint; give numbers`)
    return { name, type, dims: dims.slice(1) }
  })
}

/**
 * The CRC-32 over the bytes of each row's inputs, in the order of their names, little-endian: what tells a sample apart from every other, and from
 * itself after it was augmented or preprocessed otherwise. Not against somebody who wants to deceive: who can do that can write the store. In
 * format 1 the first bytes of SHA-256.
 *
 * @throws ShapeError for inputs that do not have one row for each id
 */
export function fingerprints(caller: string, inputs: TensorMap, rows: number, format: StoreFormat): Uint8Array {
  if (format === 1) return digests(caller, inputs, rows)
  const marks = new Uint32Array(rows)
  for (const name of Object.keys(inputs).sort()) {
    const bytes = bytesOf(caller, name, inputs[name]!, rows)
    const width = bytes.length / rows
    for (let r = 0; r < rows; r++) marks[r] = crc32(bytes.subarray(r * width, (r + 1) * width), marks[r])
  }
  return new Uint8Array(marks.buffer)
}

function digests(caller: string, inputs: TensorMap, rows: number): Uint8Array {
  const views = Object.keys(inputs)
    .sort()
    .map((name) => bytesOf(caller, name, inputs[name]!, rows))
  const size = fingerprintBytes(1)
  const out = new Uint8Array(rows * size)
  for (let r = 0; r < rows; r++) {
    const row = Buffer.concat(
      views.map((bytes) => bytes.subarray((r * bytes.length) / rows, ((r + 1) * bytes.length) / rows)),
    )
    out.set(hash('sha256', row, 'buffer').subarray(0, size), r * size)
  }
  return out
}

function bytesOf(caller: string, name: string, { dims, data }: Tensor, rows: number): Uint8Array {
  if (dims[0] !== rows || Array.isArray(data))
    throw new ShapeError(caller, `inputs.${name}`, `[N=${rows}, ...]`, `[${dims.join(', ')}]`)
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}
