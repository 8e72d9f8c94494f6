/** The array that holds the elements of each data type; the names are those of ONNX Runtime's JavaScript API. */
export interface TensorData {
  float32: Float32Array
  float64: Float64Array
  /** IEEE half precision, as its bits. */
  float16: Uint16Array
  /** The upper 16 bits of a float32, as its bits. */
  bfloat16: Uint16Array
  int8: Int8Array
  int16: Int16Array
  int32: Int32Array
  int64: BigInt64Array
  uint8: Uint8Array
  uint16: Uint16Array
  uint32: Uint32Array
  uint64: BigUint64Array
  /** One byte an element, 0 or 1. */
  bool: Uint8Array
  string: string[]
  int4: Int8Array
  uint4: Uint8Array
}

export type DataType = keyof TensorData

/** A dense tensor, row-major. Any `Tensor` of onnxruntime is one of these. */
export interface Tensor<T extends DataType = DataType> {
  readonly type: T
  readonly dims: readonly number[]
  readonly data: TensorData[T]
}

/** Tensors by name. */
export type TensorMap = { readonly [name: string]: Tensor }

/** The array that holds the elements of each data type, to be made; `string` has plain arrays. */
export const arrayTypes: { readonly [T in Exclude<DataType, 'string'>]: ArrayType<TensorData[T]> } = {
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
  int4: Int8Array,
  uint4: Uint8Array,
}

/** What can be asked of any typed array's constructor. */
export interface ArrayType<A> {
  readonly BYTES_PER_ELEMENT: number
  new (length: number): A
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A
}

/** The number of elements of a tensor of these dims. */
export function elementCount(dims: readonly number[]): number {
  let count = 1
  for (let i = 0; i < dims.length; i++) count *= dims[i]!
  return count
}

/** A tensor over `data`, which is not copied. */
export function tensor<T extends DataType>(type: T, dims: readonly number[], data: TensorData[T]): Tensor<T> {
  return { type, dims, data }
}

/** A tensor of zeros (empty strings for `string`). */
export function zeros<T extends DataType>(type: T, dims: readonly number[]): Tensor<T> {
  const count = elementCount(dims)
  const data =
    type === 'string' ? new Array<string>(count).fill('') : new arrayTypes[type as Exclude<DataType, 'string'>](count)
  return { type, dims, data: data as TensorData[T] }
}

/** A tensor with its own copy of the data. */
export function clone<T extends DataType>(source: Tensor<T>): Tensor<T> {
  return { type: source.type, dims: [...source.dims], data: source.data.slice() as TensorData[T] }
}

/** True where the tensor has this type, for narrowing. */
export function isType<T extends DataType>(value: Tensor, type: T): value is Tensor<T> {
  return value.type === type
}

/** An empty map of names that no name can poison (`__proto__` is a key like any other). */
export function tensorMap(entries: Iterable<readonly [string, Tensor]> = []): { [name: string]: Tensor } {
  const map: { [name: string]: Tensor } = Object.create(null)
  for (const [name, value] of entries) map[name] = value
  return map
}
