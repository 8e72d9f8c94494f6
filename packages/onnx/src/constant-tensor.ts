import {
  type DataType,
  elementCount,
  FormatError,
  type Tensor,
  type TensorData,
  tensor,
  UnsupportedError,
} from '@imago/tensor'
import type { ConstantTensor } from './ir.js'

type NumberView = {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer, offset: number, length: number): TensorData[DataType]
  from(values: unknown): TensorData[DataType]
}

const views: { readonly [type: string]: unknown } = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
}

/** A constant as a plain tensor. Raw bytes are viewed without copying where they are aligned, else copied. */
export function tensorOf(constant: ConstantTensor): Tensor {
  const { name, type, dims } = constant
  const count = elementCount(dims)
  if (constant.external !== undefined)
    throw new FormatError(
      `tensor "${name}"`,
      `its data is in "${constant.external.location}"; read the model with its folder (loadExternalData)`,
    )
  if (type === 'string') return tensor(type, dims, [...((constant.values ?? []) as readonly string[])])
  const view = views[type] as NumberView | undefined
  if (view === undefined) throw new UnsupportedError(`tensor "${name}"`, `elements of type ${type} are not read`)
  if (constant.raw !== undefined) {
    const { raw } = constant
    if (raw.byteLength !== count * view.BYTES_PER_ELEMENT)
      throw new FormatError(
        `tensor "${name}"`,
        `dims [${dims.join(', ')}] of ${type} need ${count * view.BYTES_PER_ELEMENT} bytes, the file has ${raw.byteLength}`,
      )
    const bytes = raw.byteOffset % view.BYTES_PER_ELEMENT === 0 ? raw : raw.slice()
    return { type, dims, data: new view(bytes.buffer as ArrayBuffer, bytes.byteOffset, count) }
  }
  const values = constant.values ?? []
  if (values.length !== count)
    throw new FormatError(
      `tensor "${name}"`,
      `dims [${dims.join(', ')}] need ${count} values, the file has ${values.length}`,
    )
  return { type, dims, data: view.from(values) }
}

/** A constant that views the data of a tensor. */
export function constantOf(name: string, value: Tensor): ConstantTensor {
  const { type, dims, data } = value
  if (Array.isArray(data)) return { name, type, dims, values: data }
  return { name, type, dims, raw: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength) }
}
