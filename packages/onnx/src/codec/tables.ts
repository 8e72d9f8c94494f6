// Fields of onnx.proto (IR version 14) that imago looks into, by name, number and kind; all others travel in `kept`.

export const modelTable = {
  irVersion: [1, 'int64'],
  producer: [2, 'string'],
  graph: [7, 'message'],
  opsets: [8, 'messages'],
  metadata: [14, 'messages'],
  functions: [25, 'messages'],
} as const

export const graphTable = {
  nodes: [1, 'messages'],
  name: [2, 'string'],
  initializers: [5, 'messages'],
  inputs: [11, 'messages'],
  outputs: [12, 'messages'],
  values: [13, 'messages'],
} as const

export const nodeTable = {
  inputs: [1, 'strings'],
  outputs: [2, 'strings'],
  name: [3, 'string'],
  op: [4, 'string'],
  attributes: [5, 'messages'],
  domain: [7, 'string'],
} as const

export const attributeTable = {
  name: [1, 'string'],
  float: [2, 'float'],
  int: [3, 'int64'],
  string: [4, 'bytes'],
  tensor: [5, 'message'],
  graph: [6, 'message'],
  floats: [7, 'floats'],
  ints: [8, 'int64s'],
  strings: [9, 'byteses'],
  tensors: [10, 'messages'],
  graphs: [11, 'messages'],
  type: [20, 'int32'],
  reference: [21, 'string'],
} as const

export const tensorTable = {
  dims: [1, 'int64s'],
  type: [2, 'int32'],
  segment: [3, 'message'],
  floats: [4, 'packedFloats'],
  int32s: [5, 'packedInt32s'],
  strings: [6, 'byteses'],
  int64s: [7, 'packedInt64s'],
  name: [8, 'string'],
  raw: [9, 'bytes'],
  doubles: [10, 'packedDoubles'],
  uint64s: [11, 'packedUint64s'],
  external: [13, 'messages'],
  location: [14, 'int32'],
} as const

export const valueInfoTable = { name: [1, 'string'], type: [2, 'message'] } as const
export const typeTable = { tensor: [1, 'message'] } as const
export const tensorTypeTable = { element: [1, 'int32'], shape: [2, 'message'] } as const
export const shapeTable = { dims: [1, 'messages'] } as const
export const dimTable = { value: [1, 'int64'], symbol: [2, 'string'] } as const

export const functionTable = {
  name: [1, 'string'],
  inputs: [4, 'strings'],
  outputs: [5, 'strings'],
  nodes: [7, 'messages'],
  opsets: [9, 'messages'],
  domain: [10, 'string'],
} as const

export const opsetTable = { domain: [1, 'string'], version: [2, 'int64'] } as const
export const entryTable = { key: [1, 'string'], value: [2, 'string'] } as const
