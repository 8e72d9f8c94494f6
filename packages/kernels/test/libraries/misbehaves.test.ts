import { ImagoError, tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { backends, type KernelLibrary, loadKernels, softTargetLoss } from '../../src/index.js'
import { compile, thrown, whyNot } from './compile.js'

const missing = process.arch === 'x64' ? whyNot('c++', 'cc') : 'the test library reads MXCSR'
if (missing !== null) console.log(`skipped: libraries that misbehave: ${missing}`)

describe.skipIf(missing !== null)('a library that misbehaves', () => {
  const library = missing === null ? loadKernels(compile('throws.cc')) : (undefined as unknown as KernelLibrary)
  const out = new Float64Array(1)

  describe.each(['in_call', 'in_task'])('row 14: thrown %s', (kernel) => {
    test.each([
      [1, /bad_alloc/],
      [2, /thrown by a kernel/],
      [3, /threw something that is not an exception/],
    ])('%d becomes an error, and the next call computes', (how, message) => {
      for (let i = 0; i < 50; i++) {
        const error = thrown(() => library.call(kernel, { out }, { how }))
        expect(error).toBeInstanceOf(ImagoError)
        expect(error.code).toBe('ERR_KERNEL')
        expect(error.message).toMatch(message)
      }
      library.call(kernel, { out }, { how: 0 })
      if (kernel === 'in_task') expect(out[0]).toBe(100)
    })
  })

  test('a task may ask for the pool again', () => {
    library.call('nested', { out }, {})
    expect(out[0]).toBe(10 * 20 * 30)
  })

  /** What the machine makes of numbers that need subnormals, and of a sum that is rounded. */
  const arithmetic = () => [2 ** -1074 * Number(process.pid > 0), 2 ** -1022 / (4 * Number(process.pid > 0)), 0.1 + 0.2]

  const logits = (seed: number) =>
    tensor(
      'float32',
      [40, 100],
      Float32Array.from({ length: 4000 }, (_, i) => 4 * Math.sin(seed * (i + 1) ** 2)),
    )
  const loss = (backend: 'cpu' | 'reference') => {
    const { value, gradient } = softTargetLoss({ student: logits(1), teacher: logits(2), temperature: 3, backend })
    return { value, gradient: [...gradient.data] }
  }

  test('row 21: a kernel that leaves another rounding and flush to zero, here and on the pool', () => {
    const wanted = { arithmetic: arithmetic(), cpu: loss('cpu'), reference: loss('reference') }
    for (let i = 0; i < 3; i++) {
      library.call('spoil', { out }, {})
      expect(out[0]).toBe(0x1f80)
      expect({ arithmetic: arithmetic(), cpu: loss('cpu'), reference: loss('reference') }).toEqual(wanted)
    }
    expect(backends()[0]!.available).toBe(true)
  })

  test('row 21: a library built with -ffast-math, whose loading sets flush to zero', () => {
    const before = arithmetic()
    expect(loadKernels(compile('good.c', '-ffast-math')).name).toBe('good')
    expect(arithmetic()).toEqual(before)
    expect(before[0]).toBe(5e-324)
  })
})
