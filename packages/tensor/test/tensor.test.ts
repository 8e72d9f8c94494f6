import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import * as ort from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import {
  clone,
  type DataType,
  dims,
  elementCount,
  fromPredict,
  isType,
  type Predict,
  type Tensor,
  tensor,
  tensorMap,
  zeros,
} from '../src/index.js'

const types: DataType[] = [
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'bool',
  'string',
  'int4',
  'uint4',
]

test.each(types)('zeros and clone of %s', (type) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }), (shape) => {
      const x: Tensor = zeros(type, shape)
      expect(x.data.length).toBe(elementCount(shape))
      const blank = type === 'string' ? '' : /^u?int64$/.test(type) ? 0n : 0
      for (const value of x.data) expect(value).toBe(blank)
      const copy = clone(x)
      expect(copy).toEqual(x)
      expect(copy.data).not.toBe(x.data)
      expect(copy.dims).not.toBe(x.dims)
    }),
  )
})

test('tensor does not copy; clone has memory of its own, also of a view', () => {
  const data = Float32Array.of(0, 1, 2, 3)
  const x = tensor('float32', [2], data.subarray(1, 3))
  expect(x.data.buffer).toBe(data.buffer)
  const copy = clone(x)
  copy.data[0] = 9
  expect([...data]).toEqual([0, 1, 2, 3])
  expect(copy.data.buffer.byteLength).toBe(8)
})

test('isType narrows', () => {
  const x: Tensor = zeros('int64', [1])
  expect(isType(x, 'int64')).toBe(true)
  expect(isType(x, 'int32')).toBe(false)
  if (isType(x, 'int64')) expect(x.data.at(0)).toBe(0n)
})

test('a map of tensors takes every name', () => {
  const x = zeros('float32', [])
  const map = tensorMap([
    ['__proto__', x],
    ['constructor', x],
    ['', x],
  ])
  expect(Object.keys(map)).toEqual(['__proto__', 'constructor', ''])
  expect(map.toString).toBeUndefined()
  expect(({} as { [name: string]: unknown }).dims).toBeUndefined()
})

test('fromPredict passes inputs and signal on', async () => {
  const seen: unknown[] = []
  const predict: Predict = async (inputs, signal) => {
    seen.push(inputs, signal)
    return inputs
  }
  const inputs = tensorMap([['x', zeros('float32', [1])]])
  const { signal } = new AbortController()
  expect(await fromPredict(predict)({ ids: Uint32Array.of(0), inputs }, signal)).toBe(inputs)
  expect(seen).toEqual([inputs, signal])
})

describe("onnxruntime's tensors", () => {
  test('are assignable to ours, in the eyes of the compiler', () => {
    const require = createRequire(import.meta.url)
    const compiler = join(dirname(require.resolve('typescript7/package.json')), 'bin', 'tsc')
    const project = fileURLToPath(new URL('types', import.meta.url))
    const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', project], { encoding: 'utf8' })
    expect(stdout).toBe('')
    expect(status).toBe(0)
  })

  test('pass the guard as they are, and ours become theirs without a copy', () => {
    const theirs: Tensor<'float32'> = new ort.Tensor('float32', Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3])
    expect(dims('f', { x: [theirs, 'N C', 'float32'] })).toEqual({ N: 2, C: 3 })
    const long: Tensor<'int64'> = new ort.Tensor('int64', BigInt64Array.of(1n, 2n), [2])
    expect(dims('f', { x: [long, 'N', 'int64'] })).toEqual({ N: 2 })
    const ours = zeros('float32', [4])
    expect(new ort.Tensor(ours.type, ours.data, ours.dims).data).toBe(ours.data)
  })
})
