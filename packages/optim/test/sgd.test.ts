import { type TensorMap, tensor, zeros } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { adamw, clipByGlobalNorm, hinton2012, sgd } from '../src/index.js'
import { float32Map, golden, progress } from './cases.js'

const parameters = (): TensorMap => float32Map(golden.start)
const gradients = (): TensorMap => float32Map(golden.gradients[0]!)

describe('max-norm', () => {
  const matrix = fc.record({
    rows: fc.integer({ min: 1, max: 9 }),
    columns: fc.integer({ min: 1, max: 9 }),
    limit: fc.double({ min: 0.1, max: 20, noNaN: true }),
    units: fc.constantFrom('rows', 'columns'),
    seed: fc.infiniteStream(fc.double({ min: -5, max: 5, noNaN: true })),
  })

  test('no unit is longer than the limit after a step, and shorter ones are left alone', () => {
    fc.assert(
      fc.property(matrix, ({ rows, columns, limit, units, seed }) => {
        const draw = () => Float32Array.from({ length: rows * columns }, () => seed.next().value)
        const w = tensor('float32', [rows, columns], draw())
        const g = tensor('float32', [rows, columns], draw())
        const free = { w: tensor('float32', [rows, columns], w.data.slice()) }
        sgd({ rate: 0.1 }).step(free, { w: g }, progress(0))
        sgd({ rate: 0.1, maxSquaredNorm: { limit, units: { w: units } } }).step({ w }, { w: g }, progress(0))
        const [count, length] = units === 'rows' ? [rows, columns] : [columns, rows]
        const index = (unit: number, i: number) => (units === 'rows' ? unit * columns + i : i * columns + unit)
        for (let unit = 0; unit < count; unit++) {
          let squared = 0
          let was = 0
          for (let i = 0; i < length; i++) {
            squared += w.data[index(unit, i)]! ** 2
            was += free.w.data[index(unit, i)]! ** 2
          }
          expect(squared).toBeLessThanOrEqual(limit * (1 + 1e-5))
          if (was < limit * (1 - 1e-5)) expect(squared).toBeCloseTo(was, 4)
          else expect(squared).toBeCloseTo(Math.min(was, limit), 3)
        }
      }),
    )
  })

  test.each([
    ['a parameter that is not there', { limit: 15, units: { w8: 'rows' } }, /w8/],
    ['a bias', { limit: 15, units: { b1: 'rows' } }, /biases/],
    ['an axis that is none', { limit: 15, units: { w1: 'cols' as 'rows' } }, /"rows" or "columns"/],
    ['a limit of 0', { limit: 0, units: {} }, /limit/],
  ] as const)('%s is refused', (_, maxSquaredNorm, message) => {
    expect(() => sgd({ rate: 1, maxSquaredNorm }).step(parameters(), gradients(), progress(0))).toThrow(message)
  })

  test('a parameter called constructor is not mistaken for a unit', () => {
    const map = JSON.parse('{"constructor":0}')
    map.constructor = tensor('float32', [1, 1], Float32Array.of(100))
    const step = { constructor: zeros('float32', [1, 1]) } as unknown as TensorMap
    sgd({ rate: 1, maxSquaredNorm: { limit: 1, units: {} } }).step(map, step, progress(0))
    expect(map.constructor.data[0]).toBe(100)
  })
})

describe('hinton2012', () => {
  test('the rate of an epoch is (1 − p)·ε₀·0.998^epoch with the momentum ramp 0.5 → 0.99 over 500 epochs', () => {
    const optimizer = hinton2012({ rate: 10 })
    for (const [step, epoch] of [0, 1, 250, 500, 2999].entries()) {
      const share = Math.min(1, epoch / 500)
      const p = 0.5 + 0.49 * share
      const at = { step, epoch, stepsPerEpoch: 600, epochs: 3000 }
      expect(optimizer.step(parameters(), gradients(), at).rate).toBeCloseTo((1 - p) * 10 * 0.998 ** epoch, 12)
    }
  })

  test('without momentum and decay it is plain descent at ε₀', () => {
    const paper = parameters()
    const plain = parameters()
    const still = { from: 0, to: 0, epochs: 1 }
    hinton2012({ rate: 0.5, decay: 1, momentum: still }).step(paper, gradients(), progress(0))
    sgd({ rate: 0.5 }).step(plain, gradients(), progress(0))
    expect(paper).toEqual(plain)
  })
})

describe('clipByGlobalNorm', () => {
  test('scale is min(1, limit/norm); nothing is written', () => {
    const limits = fc.double({ min: 1e-3, max: 100, noNaN: true })
    fc.assert(
      fc.property(limits, (limit) => {
        const map = gradients()
        let sum = 0
        for (const name in map) for (const x of map[name]!.data as Float32Array) sum += x * x
        const { norm, scale } = clipByGlobalNorm(map, limit)
        expect(norm).toBeCloseTo(Math.sqrt(sum), 5)
        expect(scale * norm).toBeCloseTo(Math.min(limit, norm), 10)
        expect(map).toEqual(gradients())
      }),
    )
  })

  test('no gradient at all: the scale stays 1', () => {
    expect(clipByGlobalNorm({ w: zeros('float32', [3]) }, 1)).toEqual({ norm: 0, scale: 1 })
  })

  test('gradients whose squares overflow float32 still have a norm', () => {
    const huge = { w: tensor('float32', [2], Float32Array.of(3e30, 4e30)) }
    expect(clipByGlobalNorm(huge, 1).norm / 5e30).toBeCloseTo(1, 6)
  })

  test('gradients of any finite size move the weights by no more than rate times the limit, never to NaN', () => {
    const norms = fc.double({ min: 1e-30, max: 3e38, noNaN: true })
    fc.assert(
      fc.property(
        norms,
        fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 3, maxLength: 40 }),
        (size, g) => {
          const w = tensor('float32', [g.length], new Float32Array(g.length))
          const gradient = tensor(
            'float32',
            [g.length],
            Float32Array.from(g, (x) => x * size),
          )
          sgd({ rate: 0.5, clip: 2 }).step({ w }, { w: gradient }, progress(0))
          expect(Math.hypot(...w.data)).toBeLessThanOrEqual(0.5 * 2 * (1 + 1e-6))
          const clipped = clipByGlobalNorm({ w: gradient }, 2).scale < 1
          // Below 2⁻¹²⁶ a factor counts as 0: such a step stands still.
          if (clipped && size < 1e37) expect(Math.hypot(...w.data)).toBeGreaterThan(0.5 * 2 * (1 - 1e-4))
        },
      ),
    )
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '%d stops the step, names the tensor, moves nothing',
    (bad) => {
      for (const optimizer of [sgd({ rate: 0.1, clip: 1 }), adamw({ clip: 1 })]) {
        const moved = parameters()
        const map = gradients()
        ;(map.w2!.data as Float32Array)[3] = bad
        expect(() => optimizer.step(moved, map, progress(0))).toThrow(
          expect.objectContaining({ code: 'ERR_NUMERIC', message: expect.stringContaining('"w2"') }),
        )
        expect(moved).toEqual(parameters())
        expect(optimizer.state().step).toBe(0)
      }
    },
  )
})

test.each([
  ['a schedule that gives NaN', { rate: () => Number.NaN }, /rate/],
  ['a negative rate', { rate: -1 }, /rate/],
  ['momentum 1', { rate: 1, momentum: 1 }, /momentum/],
  ['a momentum schedule that leaves [0, 1)', { rate: 1, momentum: () => -0.1 }, /momentum/],
  ['negative weight decay', { rate: 1, weightDecay: -1 }, /weightDecay/],
  ['clip 0', { rate: 1, clip: 0 }, /clip/],
])('%s is refused', (_, options, message) => {
  expect(() => sgd(options).step(parameters(), gradients(), progress(0))).toThrow(message)
})

test.each([
  [{ beta1: 1 }, /beta1/],
  [{ beta2: -0.1 }, /beta2/],
  [{ epsilon: 0 }, /epsilon/],
  [{ rate: () => Number.POSITIVE_INFINITY }, /rate/],
  [{ weightDecay: Number.NaN }, /weightDecay/],
])('adamw refuses %o', (options, message) => {
  expect(() => adamw(options).step(parameters(), gradients(), progress(0))).toThrow(message)
})
