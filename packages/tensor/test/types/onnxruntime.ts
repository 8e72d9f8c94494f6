// Compiled, not run, by tensor.test.ts: onnxruntime's tensors are ours.
import type * as ort from 'onnxruntime-node'
import type { DataType, Tensor, TensorMap } from '../../src/index.js'

export const float = (theirs: ort.TypedTensor<'float32'>): Tensor<'float32'> => theirs
export const long = (theirs: ort.TypedTensor<'int64'>): Tensor<'int64'> => theirs
export const text = (theirs: ort.TypedTensor<'string'>): Tensor<'string'> => theirs
export const half = (theirs: ort.TypedTensor<'float16'>): Tensor<'float16'> => theirs
export const any = (theirs: ort.Tensor): Tensor<DataType> => theirs
export const outputs = (theirs: { readonly [name: string]: ort.Tensor }): TensorMap => theirs
// @ts-expect-error another type stays another type
export const wrong = (theirs: ort.TypedTensor<'float32'>): Tensor<'int32'> => theirs
