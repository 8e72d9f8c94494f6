import { type DataType, type Tensor, tensor } from '@imago/tensor'
import { type AttributeValue, attribute } from './attributes.js'
import { constantOf } from './constant-tensor.js'
import type { ConstantTensor, Graph, Node, Shape, ValueInfo } from './ir.js'

export interface OpOptions {
  readonly domain?: string
  readonly name?: string
  /** Names for the outputs, or how many fresh ones; '' leaves an output out. Default 1. */
  readonly outputs?: number | readonly string[]
}

/** Writes a graph node by node. Names are values; every method returns the name that it made. */
export interface Builder {
  input(name: string, type: DataType, shape: Shape): string
  initializer(name: string, value: Tensor): string
  /** An unnamed constant; equal scalars and int lists are made once. */
  constant(value: Tensor): string
  /** A float32 scalar constant. */
  scalar(value: number, type?: 'float32' | 'float64'): string
  /** A 1-D int64 constant, as shapes and axes are given. */
  ints(values: readonly number[]): string
  /** Add a node, return its first output. */
  op(
    op: string,
    inputs: readonly string[],
    attributes?: { readonly [name: string]: AttributeValue },
    options?: OpOptions,
  ): string
  /** Add a node with several outputs, return them all. */
  ops(
    op: string,
    inputs: readonly string[],
    attributes: { readonly [name: string]: AttributeValue },
    options: OpOptions,
  ): string[]
  output(name: string, type?: DataType, shape?: Shape): void
  /** A name that no value has yet. */
  unique(hint: string): string
  graph(): Graph
}

/** A builder that starts empty, or from a copy of `start`. */
export function builder(start?: Graph): Builder {
  const nodes: Node[] = [...(start?.nodes ?? [])]
  const inputs: ValueInfo[] = [...(start?.inputs ?? [])]
  const outputs: ValueInfo[] = [...(start?.outputs ?? [])]
  const initializers = new Map<string, ConstantTensor>(start?.initializers)
  const taken = new Set<string>([
    ...inputs.map((value) => value.name),
    ...initializers.keys(),
    ...nodes.flatMap((node) => node.outputs),
  ])
  const constants = new Map<string, string>()
  // Where to go on counting for a hint, so that many values alike cost no search.
  const next = new Map<string, number>()

  const unique = (hint: string): string => {
    let name = hint
    let i = next.get(hint) ?? 1
    for (; taken.has(name); i++) name = `${hint}_${i}`
    next.set(hint, i)
    taken.add(name)
    return name
  }
  const once = (key: string, make: () => string): string => {
    const known = constants.get(key)
    if (known !== undefined) return known
    const name = make()
    constants.set(key, name)
    return name
  }
  const initializer = (name: string, value: Tensor): string => {
    taken.add(name)
    initializers.set(name, constantOf(name, value))
    return name
  }
  const constant = (value: Tensor): string => initializer(unique('constant'), value)
  const ops: Builder['ops'] = (op, from, attributes, options) => {
    const { domain = '', outputs: wanted = 1 } = options
    const made =
      typeof wanted === 'number'
        ? Array.from({ length: wanted }, () => unique(op.toLowerCase()))
        : wanted.map((name) => {
            taken.add(name)
            return name
          })
    const entries = Object.entries(attributes).map(([key, value]) => [key, attribute(value)] as const)
    nodes.push({ name: options.name ?? '', op, domain, inputs: [...from], outputs: made, attributes: new Map(entries) })
    return made
  }

  return {
    input(name, type, shape) {
      taken.add(name)
      inputs.push({ name, type, shape })
      return name
    },
    initializer,
    constant,
    scalar: (value, type = 'float32') =>
      once(`${type} ${Object.is(value, -0) ? '-0' : value}`, () =>
        constant(
          type === 'float32' ? tensor(type, [], Float32Array.of(value)) : tensor(type, [], Float64Array.of(value)),
        ),
      ),
    ints: (values) =>
      once(`ints ${values.join(' ')}`, () =>
        constant(tensor('int64', [values.length], BigInt64Array.from(values.map((value) => BigInt(value))))),
      ),
    op: (op, from, attributes = {}, options = {}) => ops(op, from, attributes, options)[0]!,
    ops,
    output(name, type, shape) {
      outputs.push({ name, ...(type && { type }), ...(shape && { shape }) })
    },
    unique,
    graph: () => ({ name: start?.name ?? 'imago', nodes, inputs, outputs, initializers, values: start?.values ?? [] }),
  }
}
