import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { ArgumentError, ImagoError, NotFoundError, NumericError, ShapeError, UnsupportedError } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { type KernelBuffer, type KernelLibrary, loadKernels, native } from '../../src/index.js'
import { compile, thrown, whyNot } from './compile.js'

const missing = whyNot('cc')
if (missing !== null) console.log(`skipped: libraries of kernels: ${missing}`)

describe.skipIf(missing !== null)('a library of kernels', () => {
  const path = missing === null ? compile('good.c') : ''
  const library = missing === null ? loadKernels(path) : (undefined as unknown as KernelLibrary)

  test('says what is in it; of an older struct what it has, of a newer one what we know', () => {
    expect(library).toMatchObject({ name: 'good', version: '1.2.3', path })
    expect(library.kernels.map(({ name, backends }) => [name, ...backends])).toEqual([
      ['scale', 'cpu'],
      ['refuse', 'cpu'],
      ['inspect', 'cpu'],
      ['on_device', 'cuda'],
      ['newer', 'cpu'],
    ])
    expect(library.kernels[0]).toEqual({
      name: 'scale',
      buffers: [
        { name: 'x', types: ['Float32Array', 'Uint16Array'], optional: false, count: 1, factors: ['rows', 'columns'] },
        { name: 'bias', types: ['Float64Array'], optional: true, count: 1, factors: ['rows', 'columns'] },
        { name: 'out', types: ['Float64Array'], optional: false, count: 1, factors: ['rows', 'columns'] },
      ],
      scalars: [
        { name: 'factor', kind: 'real' },
        { name: 'rows', kind: 'size' },
        { name: 'columns', kind: 'size' },
      ],
      backends: ['cpu'],
    })
  })

  test('computes by name and by position, on the pool', () => {
    const n = 5003
    const x = Float32Array.from({ length: n }, (_, i) => i)
    const bias = new Float64Array(n).fill(0.5)
    const out = new Float64Array(n)
    library.call('scale', { out, x, bias }, { columns: n, factor: 2, rows: 1 })
    expect(out).toEqual(Float64Array.from(x, (v) => 2 * v + 0.5))
    library.call('scale', { x: Uint16Array.from(x), out }, { rows: n, columns: 1, factor: 3 })
    expect(out).toEqual(Float64Array.from(x, (v) => 3 * v))
    library.kernel('scale')([x, null, out], [1, 1, n])
    expect(out).toEqual(Float64Array.from(x))
  })

  test('a call says how large it is, and has a pool and no stream', () => {
    const out = new Float64Array(3)
    for (const kernel of ['inspect', 'newer']) {
      library.call(kernel, { out }, {})
      expect([...out]).toEqual([56, 1, 0])
    }
  })

  test('is found again, by URL and in another thread', async () => {
    expect(loadKernels(pathToFileURL(path)).kernels).toEqual(library.kernels)
    const program = `
      const { parentPort, workerData } = require('node:worker_threads')
      const library = require(workerData.addon).loadLibrary(workerData.path)
      const out = new Float64Array(1)
      library.kernels[0].call([Float32Array.of(21), null, out], [2, 1, 1])
      parentPort.postMessage(out[0])`
    const worker = new Worker(program, { eval: true, workerData: { addon: native().path, path } })
    expect(await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))).toBe(42)
  })

  test.each<[number, new (...args: never[]) => Error, RegExp]>([
    [1, ImagoError, /^good\.refuse: seven is not a number that I like$/],
    [2, ImagoError, /^good\.refuse: refuse: status 2 without a message$/],
    [3, ImagoError, /^good\.refuse: x{511}$/],
    [4, NumericError, /^good\.refuse: "student": NaN in row 3/],
    [5, ImagoError, /^good\.refuse: caf\ufffd$/],
  ])('what it refuses is an error: %d', (how, type, message) => {
    const error = thrown(() => library.call('refuse', { out: new Float64Array(3) }, { how }))
    expect(error).toBeInstanceOf(type)
    expect(error.message).toMatch(message)
    expect(error.code).toBe(type === NumericError ? 'ERR_NUMERIC' : 'ERR_KERNEL')
  })

  const f32 = (n: number) => new Float32Array(n)
  const out = new Float64Array(6)
  const sizes = { factor: 1, rows: 2, columns: 3 }
  test.each<[string, unknown[], new (...args: never[]) => Error, RegExp]>([
    ['another kernel', ['scales', {}, {}], NotFoundError, /no kernel "scales". There are: scale, refuse/],
    ['a kernel for CUDA alone', ['on_device', { out: f32(3) }, {}], UnsupportedError, /functions for cuda only/],
    ['no buffers', ['scale', null, sizes], ArgumentError, /"buffers" must be an object/],
    [
      'another name',
      ['scale', { x: f32(6), out, y: out }, sizes],
      ArgumentError,
      /of these names: x, bias, out, got "y"/,
    ],
    [
      'another scalar',
      ['scale', { x: f32(6), out }, { ...sizes, n: 1 }],
      ArgumentError,
      /names: factor, rows, columns/,
    ],
    [
      'a buffer that is missing',
      ['scale', { x: f32(6) }, sizes],
      ArgumentError,
      /"out" must be a Float64Array, got undefined/,
    ],
    [
      'a scalar that is missing',
      ['scale', { x: f32(6), out }, { rows: 2, columns: 3 }],
      ArgumentError,
      /"factor" must be a number, got undefined/,
    ],
    [
      'a string',
      ['scale', { x: f32(6), out }, { ...sizes, factor: '1' }],
      ArgumentError,
      /"factor" must be a number, got "1"/,
    ],
    [
      'a fraction',
      ['scale', { x: f32(6), out }, { ...sizes, rows: 1.5 }],
      ArgumentError,
      /"rows" must be a whole number/,
    ],
    ['a negative size', ['scale', { x: f32(6), out }, { ...sizes, rows: -2 }], ArgumentError, /"rows" must be a whole/],
    ['NaN', ['scale', { x: f32(6), out }, { ...sizes, rows: Number.NaN }], ArgumentError, /"rows" must be a whole/],
    ['2⁵³', ['scale', { x: f32(6), out }, { ...sizes, rows: 2 ** 53 }], ArgumentError, /"rows" must be a whole/],
    [
      'another length',
      ['scale', { x: f32(5), out }, sizes],
      ShapeError,
      /"x" must be rows x columns = 6 elements, got 5/,
    ],
    [
      'a product without end',
      ['scale', { x: f32(6), out }, { ...sizes, rows: 2 ** 50, columns: 2 ** 50 }],
      ShapeError,
      /"x" must be rows x columns/,
    ],
    ['a fixed length', ['inspect', { out: new Float64Array(2) }, {}], ShapeError, /"out" must be 3 elements, got 2/],
    [
      'another kind',
      ['scale', { x: new Int32Array(6), out }, sizes],
      ShapeError,
      /"x" must be a Float32Array or Uint16Array, got Int32Array\(6\)/,
    ],
    ['a list', ['scale', { x: [1, 2, 3, 4, 5, 6], out }, sizes], ShapeError, /"x" must be a Float32Array/],
    [
      'shared memory',
      ['scale', { x: new Float32Array(new SharedArrayBuffer(24)), out }, sizes],
      ArgumentError,
      /another thread may write/,
    ],
    ['a name of Object.prototype', ['constructor', {}, {}], NotFoundError, /no kernel "constructor"/],
  ])('the door refuses %s', (_, [kernel, buffers, scalars], type, message) => {
    const error = thrown(() => library.call(kernel as string, buffers as never, scalars as never))
    expect(error).toBeInstanceOf(type)
    expect(error.message).toMatch(message)
  })

  test('a getter cannot take a buffer away behind the door', () => {
    const victim = f32(6)
    const buffers = {
      x: victim,
      get out(): KernelBuffer {
        structuredClone(victim.buffer, { transfer: [victim.buffer] })
        return out
      },
    }
    expect(thrown(() => library.call('scale', buffers, sizes)).message).toMatch(/x.*(detached|must (have|be))/)
  })
})
