import { ArgumentError, ShapeError, UnsupportedError } from '@imago/tensor'
import { afterAll, describe, expect, test } from 'vitest'
import { loadKernels } from '../../src/index.js'
import { compile, whyNot } from '../libraries/compile.js'
import { testDevice } from './emulated.js'

const device = testDevice()
const missing = whyNot('cc')
if (missing !== null) console.log(`skipped: libraries of kernels: ${missing}`)

describe.skipIf(device === null || missing !== null)('CUDA functions of a library of kernels', () => {
  const library = loadKernels(missing === null && device !== null ? compile('good.c') : '')
  afterAll(() => device!.dispose())

  test('are called with a stream where the tensors are on a device', () => {
    using out = device!.zeros('float64', [3])
    expect(() => library.call('on_device', { out }, {})).not.toThrow()
  })

  test('and with nothing else', () => {
    using out = device!.zeros('float64', [3])
    using x = device!.zeros('float32', [3])
    using short = device!.zeros('float64', [2])
    const scalars = { factor: 1, rows: 1, columns: 3 }
    expect(() => library.call('on_device', { out: new Float64Array(3) }, {})).toThrow(UnsupportedError)
    expect(() => library.call('scale', { x, out }, scalars)).toThrow(UnsupportedError)
    expect(() => library.call('scale', { x, out: new Float64Array(3) }, scalars)).toThrow(ArgumentError)
    expect(() => library.call('on_device', { out: x }, {})).toThrow(ShapeError)
    expect(() => library.call('on_device', { out: short }, {})).toThrow(ShapeError)
    expect(() => library.kernel('on_device')).toThrow(UnsupportedError)
  })
})
