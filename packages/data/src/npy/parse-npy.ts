import { arrayTypes, FormatError, type Tensor } from '@imago/tensor'
import { toHostOrder } from '../io/swap-bytes.js'
import { type NpyHeader, npyHeader } from './npy-header.js'

/** The tensor in the bytes of a .npy file. */
export function parseNpy(bytes: Uint8Array, name: string): Tensor {
  const header = npyHeader(bytes, name)
  if (header === undefined) throw new FormatError(`${name}, byte ${bytes.byteLength}`, 'ends inside its header')
  checkLength(header, bytes.byteLength, name)
  return npyTensor(header, bytes.slice(header.start))
}

/** Hold a header against the length of its file, before anything is allocated. */
export function checkLength(header: NpyHeader, length: number, name: string): void {
  if (header.total !== length)
    throw new FormatError(
      `${name}, byte ${Math.min(header.total, length)}`,
      `shape (${header.dims.join(', ')}) of ${header.type} needs ${header.total} bytes, there are ${length}`,
    )
}

/** The tensor over `body`, which becomes its memory: turned into this machine's byte order and row-major order. */
export function npyTensor(header: NpyHeader, body: Uint8Array): Tensor {
  const { type, width, order, dims, fortran } = header
  toHostOrder(body, width, order)
  const data = new arrayTypes[type](body.buffer, body.byteOffset, body.byteLength / width)
  return { type, dims, data: fortran && dims.length > 1 ? rowMajor(data as Float32Array, dims) : data } as Tensor
}

function rowMajor(data: Float32Array, dims: readonly number[]): Float32Array {
  const out = new (data.constructor as new (length: number) => Float32Array)(data.length)
  const strides: number[] = []
  for (let axis = 0, step = 1; axis < dims.length; axis++) {
    strides.push(step)
    step *= dims[axis]!
  }
  const index = dims.map(() => 0)
  for (let to = 0, from = 0; to < out.length; to++) {
    out[to] = data[from]!
    // Count up like an odometer, the last axis fastest.
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      from += strides[axis]!
      if (++index[axis]! < dims[axis]!) break
      from -= strides[axis]! * dims[axis]!
      index[axis] = 0
    }
  }
  return out
}
