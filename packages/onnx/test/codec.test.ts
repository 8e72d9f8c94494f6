import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Attribute,
  builder,
  type ConstantTensor,
  decode,
  encode,
  type Graph,
  type Model,
  tensorOf,
  typeCode,
} from '../src/index.js'
import { goldenBytes, goldenJson, goldenModel, goldenModels } from './golden.js'

interface Sink {
  readonly tensors: { readonly [name: string]: [code: number, dims: number[], values: string[] | null] }
  readonly max: string
  readonly min: string
}

describe('decode and encode', () => {
  test.each([...goldenModels, 'sink.onnx', 'folded.onnx'])('%s comes back byte for byte', (file) => {
    const bytes = goldenBytes(file)
    const model = decode(bytes)
    // Unknown fields at the very end of sink.onnx have the highest number, so their place is the canonical one.
    expect(Buffer.compare(encode(model), bytes)).toBe(0)
    expect(Buffer.compare(encode(structuredClone(model)), bytes)).toBe(0)
  })

  test('every kind of element is read as onnx reads it', () => {
    const { tensors } = goldenJson<Sink>('sink.json')
    const { initializers } = goldenModel('sink.onnx').graph
    expect([...initializers.keys()]).toEqual(Object.keys(tensors))
    for (const [name, [code, dims, values]] of Object.entries(tensors)) {
      const constant = initializers.get(name)!
      expect(constant.foreign ?? typeCode(constant.type)).toBe(code)
      expect(constant.dims).toEqual(dims)
      if (values === null) expect(() => tensorOf(constant)).toThrow(/not read/)
      else if (constant.type === 'float16') expect([...tensorOf(constant).data]).toEqual([0x3c00, 0xc000])
      else expect(Array.from(tensorOf(constant).data as ArrayLike<unknown>, plain)).toEqual(values.map(plain))
    }
  })

  test('attributes of every kind, 64-bit integers exact', () => {
    const { max, min } = goldenJson<Sink>('sink.json')
    const [node] = goldenModel('sink.onnx').graph.nodes
    const value = (name: string): unknown => node!.attributes.get(name)?.value
    expect(value('a_float')).toBe(Math.fround(0.1))
    expect(value('an_int')).toBe(-5n)
    expect(value('max')).toBe(BigInt(max))
    expect(value('min')).toBe(BigInt(min))
    expect(value('a_string')).toBe('naïve')
    expect(node!.attributes.get('bytes')).toMatchObject({ bytes: Uint8Array.of(0xff, 0) })
    expect(value('floats')).toEqual([1, -0.5])
    expect(value('ints')).toEqual([1n, -1n, BigInt(max)])
    expect(value('strings')).toEqual(['a', ''])
    expect(value('empty_ints')).toEqual([])
    expect((value('graph') as Graph).nodes[0]!.op).toBe('Identity')
    expect((value('tensors') as ConstantTensor[]).map(({ name }) => name)).toEqual(['float_data', 'double_data'])
    expect(node!.attributes.get('a_type')?.kind).toBe('other')
    expect(node!.inputs).toEqual(['x', '', 'raw'])
  })

  test('shapes: symbols, unknown sizes, no rank, other types', () => {
    const { inputs, outputs } = goldenModel('sink.onnx').graph
    expect(inputs[0]).toMatchObject({ name: 'x', type: 'float32', shape: ['N', 3, '?'] })
    expect(inputs[1]).not.toHaveProperty('type')
    expect(inputs[2]).toMatchObject({ shape: [1] })
    expect(outputs[0]).toEqual({ name: 'w', type: 'float32' })
  })

  test('raw data is a view of the file, not a copy', () => {
    const bytes = goldenBytes('sink.onnx')
    const { raw } = decode(bytes).graph.initializers.get('raw')!
    expect(raw!.buffer).toBe(bytes.buffer)
  })

  test('a Buffer of Node at an odd offset is read like its bytes', () => {
    const bytes = goldenBytes('sink.onnx')
    const { tensors } = goldenJson<Sink>('sink.json')
    for (let offset = 0; offset < 8; offset++) {
      const buffer = Buffer.concat([Buffer.alloc(offset), bytes]).subarray(offset)
      const model = decode(buffer)
      expect(Buffer.compare(encode(model), bytes)).toBe(0)
      for (const [name, [, dims, values]] of Object.entries(tensors))
        if (values !== null) expect(tensorOf(model.graph.initializers.get(name)!).dims).toEqual(dims)
      expect(tensorOf(model.graph.initializers.get('raw')!).data).toEqual(Float32Array.of(0, 1, 2, 3, 4, 5))
      expect(tensorOf(model.graph.initializers.get('float_data')!).data).toEqual(Float32Array.of(1.5, Infinity, -0))
    }
  })

  test('a changed field replaces what was kept of it', () => {
    const model = goldenModel('sink.onnx')
    const [input, ...others] = model.graph.inputs
    const changed = { ...model, graph: { ...model.graph, inputs: [{ ...input!, shape: [7] }, ...others] } }
    expect(decode(encode(changed)).graph.inputs[0]!.shape).toEqual([7])
    const opsets = new Map([...model.opsets, ['', 18]] as const)
    expect(decode(encode({ ...model, opsets })).opsets.get('')).toBe(18)
  })

  test('packed lists are read where the format declares unpacked ones, and the other way round', () => {
    const attribute = message(message.text(1, 'ints'), message.bytes(8, [1, 2, 0xac, 0x02]), message.int(20, 7))
    const tensor = message(
      message.int(1, 2),
      message.int(2, 7),
      message.int(7, 5),
      message.int(7, 6),
      message.text(8, 't'),
    )
    const node = message(message.text(4, 'Relu'), message.bytes(5, attribute))
    const graph = message(message.bytes(1, node), message.bytes(5, tensor))
    const model = decode(
      Uint8Array.from(message(message.int(1, 8), message.bytes(7, graph), message.bytes(8, [0x10, 17]))),
    )
    expect(model.graph.nodes[0]!.attributes.get('ints')!.value).toEqual([1n, 2n, 300n])
    expect(tensorOf(model.graph.initializers.get('t')!).data).toEqual(BigInt64Array.of(5n, 6n))
  })

  test('whatever the IR can hold comes back', () => {
    fc.assert(
      fc.property(anyModel, (model) => {
        const bytes = encode(model)
        const back = decode(bytes)
        expect(encode(back)).toEqual(bytes)
        expect(back.graph.nodes).toEqual(model.graph.nodes)
        expect(back.graph.inputs).toEqual(model.graph.inputs)
        expect(back.metadata).toEqual(model.metadata)
        for (const [name, constant] of model.graph.initializers)
          expect(tensorOf(back.graph.initializers.get(name)!)).toEqual(tensorOf(constant))
      }),
      { numRuns: 60 },
    )
  })
})

/** Numbers as texts alike: booleans as 0 and 1, −0 apart from 0. */
function plain(value: unknown): string {
  if (value === true || value === 'True' || value === 'true') return '1'
  if (value === false || value === 'False' || value === 'false') return '0'
  if (typeof value === 'string' && value !== '' && !/^[-\d.einf]+$/.test(value)) return value
  if (value === '') return ''
  if (typeof value === 'bigint' || /^-?\d+$/.test(String(value))) return String(value)
  const number = value === 'inf' ? Number.POSITIVE_INFINITY : Number(value)
  return Object.is(number, -0) ? '0' : String(number)
}

/** Protobuf by hand, independent of the encoder under test; numbers below 128. */
const message = Object.assign((...fields: number[][]): number[] => fields.flat(), {
  int: (number: number, value: number): number[] => [...key(number, 0), value],
  bytes: (number: number, payload: readonly number[]): number[] => [...key(number, 2), payload.length, ...payload],
  text: (number: number, value: string): number[] => [
    ...key(number, 2),
    value.length,
    ...new TextEncoder().encode(value),
  ],
})

function key(number: number, wire: number): number[] {
  const value = number * 8 + wire
  return value < 128 ? [value] : [(value & 0x7f) | 0x80, value >> 7]
}

const name = fc.oneof(
  fc.string(),
  fc.constantFrom('__proto__', 'constructor', 'toString', '\u202e\u001b[31m', 'x'.repeat(1000)),
)
const float = fc.float({ noNaN: true })
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const attribute: fc.Arbitrary<Attribute> = fc.oneof(
  fc.record({ kind: fc.constant('int' as const), value: int64 }),
  fc.record({ kind: fc.constant('float' as const), value: float }),
  fc.record({ kind: fc.constant('string' as const), value: fc.string({ unit: 'binary' }).map(wellFormed) }),
  fc.record({ kind: fc.constant('ints' as const), value: fc.array(int64) }),
  fc.record({ kind: fc.constant('floats' as const), value: fc.array(float) }),
  fc.record({ kind: fc.constant('strings' as const), value: fc.array(fc.string()) }),
)
const constant = (key: string): fc.Arbitrary<ConstantTensor> =>
  fc.oneof(
    fc
      .array(float)
      .map((v): ConstantTensor => ({ name: key, type: 'float32', dims: [v.length], values: Float32Array.from(v) })),
    fc
      .array(int64)
      .map((v): ConstantTensor => ({ name: key, type: 'int64', dims: [v.length], values: BigInt64Array.from(v) })),
    fc.uint8Array().map((raw): ConstantTensor => ({ name: key, type: 'uint8', dims: [raw.length], raw })),
  )
const anyModel: fc.Arbitrary<Model> = fc
  .record({
    nodes: fc.array(
      fc.record({
        name,
        op: name,
        domain: name.filter((domain) => domain !== 'ai.onnx'),
        inputs: fc.array(name),
        outputs: fc.array(name),
        attributes: fc
          .dictionary(name, attribute, { noNullPrototype: false })
          .map((all) => new Map(Object.entries(all))),
      }),
      { maxLength: 4 },
    ),
    constants: fc.uniqueArray(name, { maxLength: 3 }).chain((names) => fc.tuple(...names.map(constant))),
    shape: fc.array(fc.oneof(fc.nat(), fc.constantFrom('N', '?', '4*N')), { maxLength: 4 }),
    metadata: fc.dictionary(name, fc.string()).map((all) => new Map(Object.entries(all))),
    irVersion: fc.nat(),
  })
  .map(({ nodes, constants, shape, metadata, irVersion }) => ({
    irVersion,
    opsets: new Map([['', 17]]),
    producer: 'test',
    metadata,
    functions: [],
    graph: {
      ...builder().graph(),
      nodes,
      inputs: [{ name: 'x', type: 'float32', shape }],
      initializers: new Map(constants.map((one) => [one.name, one])),
    },
  }))

function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udfff]/g, '')
}
