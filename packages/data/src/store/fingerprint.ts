import { createHash, hash } from 'node:crypto'
import { ArgumentError, ShapeError, type Tensor, type TensorMap, UnsupportedError } from '@imago/tensor'

/** What a row of an input is: name, type, dims without the first. In the order of names. */
export interface InputSignature {
  readonly name: string
  readonly type: string
  readonly dims: readonly number[]
}

/** Bytes of a fingerprint: by chance another row has the same once in 2⁴⁸ times. */
export const fingerprintBytes = 6

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
 * The first bytes of SHA-256 over the bytes of each row's inputs, in the order of their names: what tells a sample apart from every other, and
 * from itself after it was augmented or preprocessed otherwise.
 *
 * @throws ShapeError for inputs that do not have one row for each id
 */
export function fingerprints(caller: string, inputs: TensorMap, rows: number): Uint8Array {
  const views = Object.keys(inputs)
    .sort()
    .map((name) => bytesOf(caller, name, inputs[name]!, rows))
  const out = new Uint8Array(rows * fingerprintBytes)
  for (let r = 0; r < rows; r++) {
    const digest = views.length === 1 ? hash('sha256', rowOf(views[0]!, r, rows), 'buffer') : digestOf(views, r, rows)
    for (let i = 0; i < fingerprintBytes; i++) out[r * fingerprintBytes + i] = digest[i]!
  }
  return out
}

function digestOf(views: readonly Uint8Array[], r: number, rows: number): Uint8Array {
  const all = createHash('sha256')
  for (const view of views) all.update(rowOf(view, r, rows))
  return all.digest()
}

function bytesOf(caller: string, name: string, { dims, data }: Tensor, rows: number): Uint8Array {
  if (dims[0] !== rows || Array.isArray(data))
    throw new ShapeError(caller, `inputs.${name}`, `[N=${rows}, ...]`, `[${dims.join(', ')}]`)
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function rowOf(bytes: Uint8Array, r: number, rows: number): Uint8Array {
  const width = bytes.length / rows
  return bytes.subarray(r * width, (r + 1) * width)
}
