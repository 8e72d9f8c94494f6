import { rng } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { builder, decode, encode, inferShapes, type Model, mlp, normaliseOpset, validateGraph } from '../src/index.js'
import { goldenBytes } from './golden.js'

const formatError = expect.objectContaining({ code: 'ERR_FORMAT' })
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('bytes that are no ONNX model', () => {
  test('a model cut off at any byte', () => {
    const bytes = encode(mlp([20, 60, 10], { rng: rng(1) }))
    expect(bytes.length).toBeGreaterThan(5000)
    const codes = new Set<unknown>()
    for (let end = 0; end < bytes.length; end++) codes.add(codeOf(() => decode(bytes.subarray(0, end))))
    expect([...codes]).toEqual(['ERR_FORMAT'])
  })

  test.each([
    ['empty', new Uint8Array(0), /an empty file/],
    ['one byte', Uint8Array.of(8), /cut off|ONNX model/],
    ['text', ascii('hello world\n'), /a text file/],
    ['HTML', ascii('<!DOCTYPE html><html>404</html>'), /an HTML or XML page/],
    ['ZIP', ascii('PK\x03\x04xxxxxxxx'), /a ZIP archive/],
    ['JSON', ascii('{"a": 1}'), /a JSON text/],
    ['a Git LFS pointer', ascii('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'), /git lfs pull/],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0), /gzip/],
  ])('%s: the message says what it seems to be', (_, bytes, message) => {
    expect(() => decode(bytes, { name: 'a.onnx' })).toThrow(message)
    expect(() => decode(bytes)).toThrow(formatError)
  })

  test.each([
    ['a length beyond the end', [0x3a, 0x7f, 1]],
    ['a length of 2⁶³', [0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a varint of eleven bytes', [8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
    ['field number 0', [0, 1]],
    ['wire type 3', [0xfb, 1]],
    ['wire type 4', [0xfc, 1]],
    ['wire type 6', [0x0e]],
    ['wire type 7', [0x0f]],
    ['a text where a number belongs', [0x0a, 1, 65]],
    ['two graphs', [8, 8, 0x3a, 0, 0x3a, 0, 0x42, 2, 0x10, 17]],
  ])('%s', (_, bytes) => {
    expect(() => decode(Uint8Array.from(bytes))).toThrow(formatError)
  })

  test('20,000 graphs inside each other, by depth and not by the stack', () => {
    const depth = 20_000
    const heads: Uint8Array[] = []
    let size = 0
    const wrap = (field: number): void => {
      const head = Uint8Array.from([field * 8 + 2, ...varint(size)])
      heads.push(head)
      size += head.length
    }
    for (let i = 0; i < depth; i++) for (const field of [6, 5, 1]) wrap(field) // graph in attribute in node
    wrap(7)
    const bytes = Uint8Array.from([8, 8, 0x42, 2, 0x10, 17, ...heads.reverse().flatMap((head) => [...head])])
    expect(() => decode(bytes)).toThrow(/messages inside each other/)
  })

  test.each([
    ['a negative size', [-1n], 4, /negative size -1/],
    ['more elements than can be counted', [2n ** 40n, 2n ** 40n], 4, /more elements than can be counted/],
    ['a terabyte in four bytes', [2n ** 38n], 4, /needs 1099511627776 bytes/],
    ['bytes that do not fill the dims', [3n], 4, /needs 12 bytes for its dims \[3\], the file has 4/],
  ])('a tensor with %s', (_, dims, length, message) => {
    const raw = [0x4a, length, ...new Array<number>(length).fill(0)]
    const tensor = [...dims.flatMap((dim) => [8, ...varint(dim)]), 0x10, 1, ...raw]
    expect(() => decode(withInitializer(tensor))).toThrow(message)
  })

  test('a tensor with elements in two places', () => {
    expect(() => decode(withInitializer([8, 1, 0x10, 1, 0x22, 4, 0, 0, 0, 0, 0x4a, 4, 0, 0, 0, 0]))).toThrow(
      /more than one place/,
    )
  })

  test('two initializers of one name', () => {
    const tensor = [0x10, 1, 0x22, 4, 0, 0, 0, 0]
    const graph = [0x2a, tensor.length, ...tensor, 0x2a, tensor.length, ...tensor]
    expect(() => decode(Uint8Array.from([8, 8, 0x3a, graph.length, ...graph, 0x42, 2, 0x10, 17]))).toThrow(
      /two initializers/,
    )
  })

  test('mutants end in a model or in an imago error, and no prototype changes', () => {
    const random = rng(3)
    const seeds = ['sink.onnx', 'attention-17.onnx', 'misc-17.onnx', 'folded.onnx'].map(goldenBytes)
    for (let i = 0; i < 1000; i++) {
      const mutant = seeds[i % seeds.length]!.slice()
      for (let n = random.integer(4); n >= 0; n--) mutant[random.integer(mutant.length)] = random.integer(256)
      try {
        const model = decode(mutant)
        encode(model)
        validateGraph(model.graph)
        normaliseOpset(model)
        inferShapes(model.graph)
      } catch (error) {
        expect(error).toHaveProperty('code')
      }
    }
    expect(Object.keys(Object.prototype)).toEqual([])
    expect({}).not.toHaveProperty('polluted')
  })

  test('a tensor of 100,000 sizes whose product no memory holds', () => {
    const size = varint(2n ** 50n)
    const dims = Array.from({ length: 100_000 }, () => [8, ...size]).flat()
    expect(() => decode(withInitializer([...dims, 0x10, 1]))).toThrow(
      /more elements than can be counted \(dims \[.{100,200}, …\]\)/,
    )
  })

  test('names that poison objects are names like others', () => {
    const b = builder()
    const x = b.input('__proto__', 'float32', ['constructor'])
    b.op('Relu', [x], Object.assign(Object.create(null), { toString: 'x' }), { outputs: ['constructor'] })
    b.output('constructor')
    const model: Model = {
      irVersion: 8,
      opsets: new Map([['', 17]]),
      producer: '',
      graph: b.graph(),
      metadata: new Map([['__proto__', 'x']]),
      functions: [],
    }
    const back = decode(encode(model))
    expect(inferShapes(back.graph).get('constructor')?.shape).toEqual(['constructor'])
    expect(back.metadata.get('__proto__')).toBe('x')
    expect(back.graph.nodes[0]!.attributes.get('toString')?.value).toBe('x')
  })
})

/** The code of the error that a call throws; undefined where it throws none. */
function codeOf(call: () => unknown): unknown {
  try {
    call()
    return undefined
  } catch (error) {
    return (error as { code?: unknown }).code ?? error
  }
}

function withInitializer(tensor: readonly number[]): Uint8Array {
  const graph = [0x2a, ...varint(tensor.length), ...tensor]
  return Uint8Array.from([8, 8, 0x3a, ...varint(graph.length), ...graph, 0x42, 2, 0x10, 17])
}

function varint(value: number | bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return [...bytes, Number(rest)]
}
