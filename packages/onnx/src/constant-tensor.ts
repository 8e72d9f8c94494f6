import {
  type ArrayType,
  arrayTypes,
  type DataType,
  elementCount,
  FormatError,
  type Tensor,
  type TensorData,
  tensor,
  UnsupportedError,
} from '@imago/tensor'
import type { ConstantTensor } from './ir.js'

/** A constant as a plain tensor. Raw bytes are viewed without copying where they are aligned, else copied. */
export function tensorOf(constant: ConstantTensor): Tensor {
  const { name, type, dims } = constant
  const count = elementCount(dims)
  if (constant.external !== undefined)
    throw new FormatError(
      `tensor "${name}"`,
      `its data is in "${constant.external.location}"; read the model with its folder (loadExternalData)`,
    )
  if (constant.foreign !== undefined)
    throw new UnsupportedError(`tensor "${name}"`, `elements of ONNX type ${constant.foreign} are not read`)
  if (type === 'string') return tensor(type, dims, [...((constant.values ?? []) as readonly string[])])
  if (type === 'int4' || type === 'uint4') return nibbles(constant, count)
  const view = arrayTypes[type] as ArrayType<TensorData[DataType]>
  if (constant.raw !== undefined) {
    const { raw } = constant
    if (raw.byteLength !== count * view.BYTES_PER_ELEMENT)
      throw new FormatError(
        `tensor "${name}"`,
        `dims [${dims.join(', ')}] of ${type} need ${count * view.BYTES_PER_ELEMENT} bytes, the file has ${raw.byteLength}`,
      )
    const bytes = raw.byteOffset % view.BYTES_PER_ELEMENT === 0 ? raw : Uint8Array.prototype.slice.call(raw)
    return { type, dims, data: new view(bytes.buffer, bytes.byteOffset, count) }
  }
  const values = constant.values ?? []
  if (values.length !== count)
    throw new FormatError(
      `tensor "${name}"`,
      `dims [${dims.join(', ')}] need ${count} values, the file has ${values.length}`,
    )
  const data = new view(count)
  ;(data as Float32Array).set(values as readonly number[])
  return { type, dims, data }
}

/** Elements of four bits, two a byte, the lower one first. */
function nibbles({ name, type, dims, raw, values }: ConstantTensor, count: number): Tensor {
  const packed = raw ?? Uint8Array.from((values ?? []) as readonly number[])
  if (packed.length !== Math.ceil(count / 2))
    throw new FormatError(
      `tensor "${name}"`,
      `dims [${dims.join(', ')}] need ${Math.ceil(count / 2)} bytes, the file has ${packed.length}`,
    )
  const bits = (i: number): number => (i % 2 === 0 ? packed[i >> 1]! & 15 : packed[i >> 1]! >> 4)
  if (type === 'uint4')
    return tensor(
      type,
      dims,
      Uint8Array.from({ length: count }, (_, i) => bits(i)),
    )
  return tensor(
    'int4',
    dims,
    Int8Array.from({ length: count }, (_, i) => (bits(i) << 28) >> 28),
  )
}

/** A constant that views the data of a tensor. */
export function constantOf(name: string, value: Tensor): ConstantTensor {
  const { type, dims, data } = value
  if (Array.isArray(data)) return { name, type, dims, values: data }
  if (type === 'int4' || type === 'uint4') {
    const raw = new Uint8Array(Math.ceil(data.length / 2))
    for (let i = 0; i < data.length; i++) raw[i >> 1]! |= (Number(data[i]) & 15) << (4 * (i % 2))
    return { name, type, dims, raw }
  }
  return { name, type, dims, raw: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength) }
}
