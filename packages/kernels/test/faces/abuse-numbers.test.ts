import {
  ArgumentError,
  NumericError,
  rng,
  ShapeError,
  type Tensor,
  tensor,
  UnsupportedError,
  zeros,
} from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  adamw,
  backends,
  crossEntropy,
  dropoutMask,
  ema,
  fromBfloat16,
  fromFloat16,
  gaussianNoise,
  jitter,
  klDivergence,
  logitRegression,
  sgd,
  softmax,
  softTargetLoss,
  squaredNorm,
  toBfloat16,
  toFloat16,
} from '../../src/index.js'
import { f32, i32, student, teacher, thrown } from './every-face.js'

// Row numbers are those of the catalogue in docs/kernels/abuse.md.

describe('numbers out of range', () => {
  const bad = [0, -1, 1e-39, 1e31, Number.NaN, Number.POSITIVE_INFINITY, '4', null, 4n]
  test.each(bad)('row 67: temperature %s', (temperature) => {
    const t = temperature as number
    const calls = [
      () => softTargetLoss({ student: student(), teacher: teacher(), temperature: t }),
      ...(t === null
        ? []
        : [
            () => klDivergence({ student: student(), teacher: teacher(), temperature: t }),
            () => softmax({ logits: student(), temperature: t }),
          ]),
    ]
    for (const call of calls) {
      const error = thrown(call)
      expect(error).toBeInstanceOf(ArgumentError)
      expect(error.message).toMatch(/"temperature" must be a number in \[1e-38, 1e\+30\], got/)
    }
  })

  test('row 78: hardWeight, smoothing, rates, steps, probabilities', () => {
    const both = { student: student(), teacher: teacher(), temperature: 1, labels: i32(0, 1) }
    for (const hardWeight of [-0.1, 1.1, Number.NaN, '1' as unknown as number])
      expect(thrown(() => softTargetLoss({ ...both, hardWeight }))).toBeInstanceOf(ArgumentError)
    const { labels, ...unlabelled } = both
    expect(thrown(() => softTargetLoss({ ...unlabelled, hardWeight: 0.5 })).message).toMatch(/"labels" must be given/)
    expect(thrown(() => crossEntropy({ student: student(), labels, smoothing: 2 }))).toBeInstanceOf(ArgumentError)
    expect(thrown(() => crossEntropy({ student: student(), labels, ignoreIndex: 0.5 }))).toBeInstanceOf(ArgumentError)
    const slots = { parameter: student(), gradient: teacher(), velocity: teacher() }
    expect(thrown(() => sgd({ ...slots, rate: Number.NaN }))).toBeInstanceOf(ArgumentError)
    expect(thrown(() => sgd({ ...slots, rate: 1, maxSquaredNorm: 0 }))).toBeInstanceOf(ArgumentError)
    expect(thrown(() => sgd({ ...slots, rate: 1, units: 'row' as 'rows' }))).toBeInstanceOf(ArgumentError)
    const adam = { parameter: student(), gradient: teacher(), m: teacher(), v: teacher(), rate: 1 }
    for (const step of [0, 1.5, -1]) expect(thrown(() => adamw({ ...adam, step }))).toBeInstanceOf(ArgumentError)
    expect(thrown(() => adamw({ ...adam, step: 1, beta1: 1 }))).toBeInstanceOf(ArgumentError)
    // A kernel would take this ε for 0, and 0/0 for the step of an element that never had a gradient.
    expect(thrown(() => adamw({ ...adam, step: 1, epsilon: 1e-40 }))).toBeInstanceOf(ArgumentError)
    expect(thrown(() => adamw({ ...adam, step: 1, weightDecay: 1e300 }))).toBeInstanceOf(ArgumentError)
    for (const probability of [-0.1, 1, 0.999999, Number.NaN])
      expect(thrown(() => dropoutMask({ dims: [3], probability, rng: rng(1) }))).toBeInstanceOf(ArgumentError)
    expect(thrown(() => dropoutMask({ probability: 0.5, rng: rng(1) }))).toBeInstanceOf(ArgumentError)
    const images = f32([1, 1, 1], [1])
    for (const shift of [-1, 0.5])
      expect(thrown(() => jitter({ images, shift, rng: rng(1) }))).toBeInstanceOf(ArgumentError)
  })

  test('a refused call does not move the Rng', () => {
    const random = rng(1)
    thrown(() => dropoutMask({ dims: [3], probability: 1, rng: random }))
    thrown(() => jitter({ images: f32([1, 1], [1]), shift: 1, rng: random }))
    expect(random.state().position).toBe(0)
  })

  test('row 78: row weights that are negative or not finite are named by row', () => {
    for (const weight of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const rowWeights = f32([2], [1, weight])
      const error = thrown(() => klDivergence({ student: student(), teacher: teacher(), rowWeights }))
      expect(error).toBeInstanceOf(ArgumentError)
      expect(error.message).toMatch(/rowWeights.*row 1/)
    }
  })
})

test.each(backends().filter(({ available }) => available))(
  'row 73: a million classes on $name',
  ({ name: backend }) => {
    const classes = 1_000_000
    const even = zeros('float32', [1, classes])
    const onlyOne = tensor(
      'float32',
      [1, classes],
      new Float32Array(classes).fill(Number.NEGATIVE_INFINITY).fill(0, 7, 8),
    )
    // KL(onehot ‖ uniform) = ln C, and CE(uniform) = ln C.
    const options = { student: even, teacher: onlyOne, temperature: 1, labels: i32(7), hardWeight: 0.5, backend }
    const { soft, hard, gradient } = softTargetLoss(options)
    for (const value of [soft, hard]) expect(Math.abs(value - Math.log(classes))).toBeLessThan(1e-5)
    expect(gradient.data[7]).toBeCloseTo(1e-6 - 1, 6)
    expect(Math.abs(gradient.data[classes - 1]! - 1e-6)).toBeLessThan(1e-11)
  },
)

describe.each(backends().filter(({ available }) => available))('rows that $name refuses', ({ name: backend }) => {
  test.each([3, 4, -2, 2 ** 31 - 1, -(2 ** 31)])('row 13: label %d', (label) => {
    const labels = i32(0, label)
    const error = thrown(() => crossEntropy({ student: student(), labels, backend }))
    expect(error).toBeInstanceOf(ArgumentError)
    expect(error.message).toContain(`got ${label}`)
    expect(error.message).toMatch(/"labels" must be .* row 1/)
    const soft = { student: student(), teacher: teacher(), temperature: 1, labels, hardWeight: 0.5, backend }
    expect(thrown(() => softTargetLoss(soft))).toBeInstanceOf(ArgumentError)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('row 71: logits with %d', (value) => {
    const bad = f32([2, 3], [1, 2, 3, 4, value, 6])
    for (const call of [
      () => softmax({ logits: bad, backend }),
      () => crossEntropy({ student: bad, labels: i32(0, 0), backend }),
      () => klDivergence({ student: bad, teacher: teacher(), backend }),
      () => klDivergence({ student: teacher(), teacher: bad, backend }),
      () => logitRegression({ student: bad, teacher: teacher(), backend }),
      () => softTargetLoss({ student: bad, teacher: teacher(), temperature: 1, backend }),
      () => softTargetLoss({ student: teacher(), teacher: bad, temperature: 1, backend }),
    ]) {
      const error = thrown(call)
      expect(error).toBeInstanceOf(NumericError)
      expect(error.message).toMatch(/row 1/)
    }
  })

  test.skipIf(!('Float16Array' in globalThis))('a Float16Array is read as its bits, and not from shared memory', () => {
    const Half = (globalThis as unknown as { Float16Array: new (from: number[] | SharedArrayBuffer) => Float32Array })
      .Float16Array
    const of = (data: Float32Array | Uint16Array) =>
      softTargetLoss({
        student: student(),
        teacher: { type: 'float16', dims: [2, 3], data } as Tensor,
        temperature: 1,
        backend,
      })
    expect(of(new Half([1, 2, 3, 0, 0, 0])).value).toBe(of(Uint16Array.of(0x3c00, 0x4000, 0x4200, 0, 0, 0)).value)
    expect(thrown(() => of(new Half(new SharedArrayBuffer(12)))).message).toMatch(/another thread/)
  })

  test('row 71: a row of −∞ alone, and half-precision NaN', () => {
    const dark = f32([2, 3], [...Array(3).fill(Number.NEGATIVE_INFINITY), 1, 2, 3])
    expect(thrown(() => softmax({ logits: dark, backend }))).toBeInstanceOf(NumericError)
    const half = tensor('float16', [2, 3], Uint16Array.of(0, 0, 0, 0, 0x7e00, 0))
    const error = thrown(() => softTargetLoss({ student: student(), teacher: half, temperature: 1, backend }))
    expect(error).toBeInstanceOf(NumericError)
    expect(error.message).toMatch(/teacher.*row 1/)
  })
})

test('backends that are not there', () => {
  const call = (backend: string) => () => softmax({ logits: student(), backend: backend as 'cuda' })
  expect(thrown(call('cuda'))).toBeInstanceOf(UnsupportedError)
  expect(thrown(call('gpu'))).toBeInstanceOf(ArgumentError)
  expect(thrown(call('gpu')).message).toMatch(/'auto' \| 'reference'/)
})

const computing = backends().filter(({ available, name }) => available && name !== 'cuda')

describe.each(computing)('what $name computes at the edges', ({ name: backend }) => {
  /** The gradient of every loss over rows, and its value. */
  const losses = (z: Tensor<'float32'>, v: Tensor<'float32'>, temperature: number) => ({
    softTargetLoss: softTargetLoss({ student: z, teacher: v, temperature, backend }),
    klDivergence: klDivergence({ student: z, teacher: v, temperature, backend }),
    crossEntropy: crossEntropy({ student: z, labels: i32(...Array(z.dims[0]!).fill(0)), backend }),
  })

  test('row 72: equal logits, ±1e30, ±3e38, subnormal numbers, −0: finite, and gradients of a row sum to 0', () => {
    const extreme = fc.constantFrom(0, -0, 7, -1e30, 1e30, 3e38, -3e38, 1e-40, -1e-45, 2 ** -126)
    const row = fc.oneof(
      fc.array(extreme, { minLength: 5, maxLength: 5 }),
      extreme.map((x) => Array(5).fill(x) as number[]),
    )
    // As they are, and forty times side by side: kernels take rows of few classes and of many in different ways.
    const shape = fc.constantFrom(1, 40)
    fc.assert(
      fc.property(row, row, shape, fc.constantFrom(0.5, 1, 3, 4, 1e3), (z, v, times, temperature) => {
        const tile = (x: number[]) => f32([1, 5 * times], Array<number[]>(times).fill(x).flat())
        for (const { value, gradient } of Object.values(losses(tile(z), tile(v), temperature))) {
          expect(Number.isFinite(value)).toBe(true)
          const all = [...gradient.data]
          expect(all.every(Number.isFinite)).toBe(true)
          const sum = all.reduce((a, b) => a + b)
          const sizes = all.reduce((a, b) => a + Math.abs(b), 0)
          expect(Math.abs(sum)).toBeLessThanOrEqual(1e-6 * Math.max(1, sizes))
        }
      }),
      { numRuns: 1000 },
    )
  })

  test.each([0, 1e30, -3e38])('row 72: a student of equal logits %d: KL is ln C − H(p)', (level) => {
    const v = [0, 0, -1e30, 0, 7]
    const p = v.map((x) => Math.exp(2 * (x - 7)) / (3 * Math.exp(-14) + 1))
    const want = Math.log(5) + p.reduce((sum, x) => sum + (x > 0 ? x * Math.log(x) : 0), 0)
    const { value } = klDivergence({
      student: f32([1, 5], Array(5).fill(level)),
      teacher: f32([1, 5], v),
      temperature: 0.5,
      backend,
    })
    expect(value).toBeCloseTo(want, 5)
  })

  test('row 73: one class: loss 0 and gradient 0; no rows: loss 0', () => {
    for (const { value, gradient } of Object.values(losses(f32([3, 1], [5, -1e30, 0]), f32([3, 1], [1, 2, 3]), 2))) {
      expect(value).toBe(0)
      expect([...gradient.data]).toEqual([0, 0, 0].map((zero) => expect.closeTo(zero, 30)))
    }
    for (const { value, gradient } of Object.values(losses(zeros('float32', [0, 4]), zeros('float32', [0, 4]), 2))) {
      expect(value).toBe(0)
      expect(gradient.dims).toEqual([0, 4])
    }
  })

  test('row 73: more elements than there can be are refused by their shape, without memory', () => {
    const data = new Float32Array(6)
    for (const dims of [
      [65536, 65536],
      [2 ** 31, 2],
      [1, 2 ** 33],
    ]) {
      const huge = { type: 'float32', dims, data } as Tensor<'float32'>
      expect(thrown(() => klDivergence({ student: huge, teacher: huge, backend }))).toBeInstanceOf(ShapeError)
    }
  })

  test.each([
    [[0.5, 0.25, 0.248], null],
    [[0.5, 0.5, 0.0009], null],
    [[0.5, 0.25, 0.2], /row 1/],
    [[1.1, -0.1, 0], /row 1/],
    [[0, 0, 0], /row 1/],
    [[Number.NaN, 0.5, 0.5], /row 1/],
    [[Number.POSITIVE_INFINITY, 0, 0], /row 1/],
  ])('row 74: targets %j', (row, refused) => {
    const distribution = f32([2, 3], [1, 0, 0, ...row.map((p) => (p === 0.248 ? 0.25 : p))])
    const call = () => crossEntropy({ student: student(), distribution, backend })
    if (refused === null) expect(Number.isFinite(call().value)).toBe(true)
    else expect(thrown(call).message).toMatch(refused)
  })

  test('row 75: halves and back: within half a unit in the last place, or of the least subnormal', () => {
    const number = fc.float({ noNaN: true, min: -65000, max: 65000 })
    fc.assert(
      fc.property(
        fc.array(fc.oneof(number, fc.float({ noNaN: true, min: -(2 ** -13), max: 2 ** -13 })), { minLength: 1 }),
        (x) => {
          const single = f32([x.length], x)
          const float16 = fromFloat16({ x: toFloat16({ x: single, backend }), backend }).data
          const bfloat16 = fromBfloat16({ x: toBfloat16({ x: single, backend }), backend }).data
          x.forEach((want, i) => {
            expect(Math.abs(float16[i]! - want)).toBeLessThanOrEqual(Math.max(2 ** -11 * Math.abs(want), 2 ** -25))
            expect(Math.abs(bfloat16[i]! - want)).toBeLessThanOrEqual(Math.max(2 ** -8 * Math.abs(want), 2 ** -134))
          })
        },
      ),
      { numRuns: 200 },
    )
  })

  test('row 75: what float16 lost of a teacher moves the loss by no more than its logits moved', () => {
    // dKL/dv is bounded by the spread of logits: |Δloss| ≤ max|Δv|·(max |v − z| over a row)·2/T.
    const z = f32([1, 4], [0, 1, 2, 3])
    const v = f32([1, 4], [1e-8, -3e-8, 2e-5, 4e-6])
    const half = toFloat16({ x: v, backend })
    const [single, stored] = [v, half].map(
      (teacher) => softTargetLoss({ student: z, teacher, temperature: 1, backend }).value,
    )
    expect(Math.abs(single! - stored!)).toBeLessThan(2 ** -25 * 3 * 2 + 1e-7)
  })

  test('row 76: a loss that is infinite is told as such, with a gradient that is not', () => {
    const z = f32([1, 3], [0, 1, Number.NEGATIVE_INFINITY])
    const { value, gradient } = softTargetLoss({ student: z, teacher: f32([1, 3], [1, 2, 3]), temperature: 1, backend })
    expect(value).toBe(Number.POSITIVE_INFINITY)
    expect([...gradient.data].every(Number.isFinite)).toBe(true)
  })

  test('row 77: squares that float32 does not hold are summed, and what clips by them writes no NaN', () => {
    for (const size of [3e37, 3e38]) {
      const gradient = f32([1, 4], [size, -size, 1e30, 0])
      const squared = squaredNorm({ x: gradient, backend })
      expect(squared / (2 * size * size)).toBeCloseTo(1, 6)
      const parameter = f32([1, 4], [1, 2, 3, 4])
      const velocity = zeros('float32', [1, 4])
      sgd({ parameter, gradient, velocity, rate: 1, gradientScale: 1 / Math.sqrt(squared), backend })
      // From 2¹²⁶ on the factor is below the normal numbers of float32 and may be taken for 0: no step, and no NaN.
      const moved = [...parameter.data].map((w, i) => w - (i + 1))
      if (size < 1e38) expect(moved[0]).toBeCloseTo(-Math.SQRT1_2, 5)
      for (const step of moved) expect(Math.abs(step)).toBeLessThan(0.7072)
    }
    expect(squaredNorm({ x: f32([1], [Number.POSITIVE_INFINITY]), backend })).toBe(Number.POSITIVE_INFINITY)
    expect(squaredNorm({ x: f32([1], [Number.NaN]), backend })).toBeNaN()
  })
})

test('row 78: a schedule that gives NaN or a factor outside its range is refused before anything is written', () => {
  const average = student()
  for (const decay of [Number.NaN, -0.1, 1.1, '0.5' as unknown as number])
    expect(thrown(() => ema({ average, x: teacher(), decay }))).toBeInstanceOf(ArgumentError)
  for (const rate of [Number.NaN, Number.POSITIVE_INFINITY, 1e39])
    expect(thrown(() => sgd({ parameter: average, gradient: teacher(), velocity: teacher(), rate }))).toBeInstanceOf(
      ArgumentError,
    )
  for (const sigma of [Number.NaN, -1, Number.POSITIVE_INFINITY])
    expect(thrown(() => gaussianNoise({ out: average, sigma, rng: rng(1) }))).toBeInstanceOf(ArgumentError)
  expect([...average.data]).toEqual([...student().data])
})
