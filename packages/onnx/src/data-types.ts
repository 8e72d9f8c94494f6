import type { DataType } from '@imago/tensor'

/** TensorProto.DataType of the ONNX format, as far as imago has a name for it. */
const codes: { readonly [type in DataType]: number } = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  uint4: 21,
  int4: 22,
}

const names = new Map(Object.entries(codes).map(([name, code]) => [code, name as DataType]))

/** The number that the ONNX format has for a data type (the `to` of Cast). */
export function typeCode(type: DataType): number {
  return codes[type]
}

/** The data type behind a number of the ONNX format; undefined for complex numbers, 8-bit floats and such. */
export function typeOfCode(code: number): DataType | undefined {
  return names.get(code)
}
