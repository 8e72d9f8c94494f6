import { type DataType, isType, type Tensor, UnsupportedError } from '@imago/tensor'
import type { OnnxRuntime, OrtTensor } from './onnxruntime.js'

/** Makes ONNX Runtime's tensor over the same memory. The data is not copied: what changes in place is seen by the next run. */
export type Feeder = (value: Tensor) => OrtTensor

/**
 * A feeder that makes one ONNX Runtime tensor for each array it ever saw, as long as that array lives: parameters and
 * buffers that are fed at every step cost a look-up, no garbage.
 */
export function feeder(ort: OnnxRuntime): Feeder {
  const known = new WeakMap<object, OrtTensor>()
  return (value) => {
    const found = known.get(value.data)
    if (found !== undefined && found.type === value.type && sameDims(found.dims, value.dims)) return found
    const made = wrap(ort, value)
    known.set(value.data, made)
    return made
  }
}

function wrap(ort: OnnxRuntime, value: Tensor): OrtTensor {
  const { type, dims } = value
  if (type === 'bfloat16') throw new UnsupportedError('a tensor of type bfloat16', 'onnxruntime-node does not take it')
  // int4 is two elements a byte in ONNX Runtime's JavaScript tensors and one in ours.
  if (type === 'int4' || type === 'uint4')
    throw new UnsupportedError(`a tensor of type ${type}`, 'it cannot be fed; keep it inside the model')
  const data = isType(value, 'string') ? [...value.data] : value.data
  return new ort.Tensor(type, data as never, dims)
}

/** The plain tensor over the same memory. */
export function plain(value: OrtTensor): Tensor {
  const type = value.type as DataType
  const data = value.data as unknown as ArrayBufferView
  // From Node 24 on half precision comes as Float16Array; imago's float16 is its bits.
  const bits =
    type === 'float16' && !(data instanceof Uint16Array)
      ? new Uint16Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength / 2)
      : data
  return { type, dims: [...value.dims], data: bits as never }
}

/** True where two tensors of these dims have the same shape. */
export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i])
}
