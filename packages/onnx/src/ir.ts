import type { DataType } from '@imago/tensor'

/** A size: a number, a symbol (`N`), or a product of a number and a symbol (`4*N`). `?` alone: unknown. */
export type Dim = number | string
export type Shape = readonly Dim[]

/** A graph's input, output or intermediate. Without `type` it is not a dense tensor (a sequence, a map); `shape` is absent where the rank is unknown. */
export interface ValueInfo {
  readonly name: string
  readonly type?: DataType
  readonly shape?: Shape
  /** What the file says beyond this: kept for writing. */
  readonly kept?: Kept
}

/**
 * A constant tensor as the file holds it. Its elements are in exactly one place: `raw` (little-endian bytes, not copied from
 * the file), `values` (the typed fields of the format) or `external` (a stretch of another file). `tensorOf` gives them as typed array.
 */
export interface ConstantTensor {
  readonly name: string
  readonly type: DataType
  readonly dims: readonly number[]
  readonly raw?: Uint8Array
  readonly values?:
    | readonly number[]
    | readonly bigint[]
    | readonly string[]
    | Float32Array
    | Float64Array
    | Int32Array
    | BigInt64Array
    | BigUint64Array
  readonly external?: ExternalData
  /** The format's number of an element type that `DataType` has no name for (complex, 8-bit floats); `type` is then `uint8` and `tensorOf` refuses. */
  readonly foreign?: number
  readonly kept?: Kept
}

/** Where the elements of a constant lie outside the model's file. */
export interface ExternalData {
  /** Path of the file, relative to the model's folder. */
  readonly location: string
  readonly offset: number
  readonly length?: number
  readonly entries: readonly (readonly [key: string, value: string])[]
}

/** An attribute's value with its kind. */
export type Attribute = AttributeContent & { readonly kept?: Kept }

/** The kinds of attributes. Numbers of the format are int64, so ints are BigInts. */
export type AttributeContent =
  | { readonly kind: 'int'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string; readonly bytes?: Uint8Array }
  | { readonly kind: 'tensor'; readonly value: ConstantTensor }
  | { readonly kind: 'graph'; readonly value: Graph }
  | { readonly kind: 'ints'; readonly value: readonly bigint[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensors'; readonly value: readonly ConstantTensor[] }
  | { readonly kind: 'graphs'; readonly value: readonly Graph[] }
  /** A kind that imago does not look into (sparse tensors, types, references to a function's attribute): kept as bytes. */
  | { readonly kind: 'other'; readonly value: Uint8Array }

/** An op that reads values by name and makes values by name. */
export interface Node {
  /** May be empty; messages then name the node by its op and first output. */
  readonly name: string
  readonly op: string
  /** Empty string: the standard `ai.onnx` domain. */
  readonly domain: string
  /** An empty string is an optional input that was left out. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: ReadonlyMap<string, Attribute>
  readonly kept?: Kept
}

/** What a model computes: nodes between named inputs and outputs, and the constants that they read. */
export interface Graph {
  readonly name: string
  /** In topological order. */
  readonly nodes: readonly Node[]
  /** As the file lists them; old files list initializers here too. */
  readonly inputs: readonly ValueInfo[]
  readonly outputs: readonly ValueInfo[]
  readonly initializers: ReadonlyMap<string, ConstantTensor>
  /** What the file says of intermediates. */
  readonly values: readonly ValueInfo[]
  readonly kept?: Kept
}

/** An .onnx file: a graph, and which version of which operators it is written in. */
export interface Model {
  readonly irVersion: number
  /** Opset version by domain; '' is ai.onnx. */
  readonly opsets: ReadonlyMap<string, number>
  readonly producer: string
  readonly graph: Graph
  readonly metadata: ReadonlyMap<string, string>
  readonly functions: readonly FunctionDefinition[]
  readonly kept?: Kept
}

/** An op that the model defines itself by a graph of other ops (`inlineFunctions` puts these in its place). */
export interface FunctionDefinition {
  readonly name: string
  readonly domain: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly nodes: readonly Node[]
  readonly opsets: ReadonlyMap<string, number>
  readonly kept?: Kept
}

/** Fields of the file that imago carries along without looking at them, so that decode and encode give the same bytes. */
export interface Kept {
  /** Encoded fields (tag and payload) in file order. */
  readonly fields: readonly Uint8Array[]
}
