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
import { describe, expect, test } from 'vitest'
import {
  adamw,
  backends,
  crossEntropy,
  dropoutMask,
  jitter,
  klDivergence,
  logitRegression,
  sgd,
  softmax,
  softTargetLoss,
  squaredNorm,
} from '../../src/index.js'

const f32 = (dims: number[], values: Iterable<number>) => tensor('float32', dims, Float32Array.from(values))
const i32 = (...values: number[]) => tensor('int32', [values.length], Int32Array.from(values))
const student = () => f32([2, 3], [1, 2, 3, 4, 5, 6])
const teacher = () => f32([2, 3], [3, 2, 1, 0, 1, 0])

/** The error of a call; a test without one fails. */
function thrown(call: () => unknown): Error & { code?: string } {
  try {
    call()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

function detached(): Float32Array {
  const data = new Float32Array(6)
  structuredClone(data.buffer, { transfer: [data.buffer] })
  return data
}

describe('memory that a kernel may not touch', () => {
  const faces: { readonly [name: string]: (x: Tensor) => unknown } = {
    softmax: (logits) => softmax({ logits }),
    softTargetLoss: (x) => softTargetLoss({ student: x, teacher: teacher(), temperature: 2 }),
    'softTargetLoss teacher': (x) => softTargetLoss({ student: student(), teacher: x, temperature: 2 }),
    'softTargetLoss out': (out) => softTargetLoss({ student: student(), teacher: teacher(), temperature: 2, out }),
    crossEntropy: (x) => crossEntropy({ student: x, labels: i32(0, 1) }),
    klDivergence: (x) => klDivergence({ student: x, teacher: teacher() }),
    logitRegression: (x) => logitRegression({ student: x, teacher: teacher() }),
    sgd: (x) => sgd({ parameter: x, gradient: student(), velocity: teacher(), rate: 0.1 }),
    'sgd velocity': (x) => sgd({ parameter: teacher(), gradient: student(), velocity: x, rate: 0.1 }),
    adamw: (x) =>
      adamw({ parameter: teacher(), gradient: x, m: student(), v: zeros('float32', [2, 3]), rate: 1, step: 1 }),
    squaredNorm: (x) => squaredNorm({ x }),
    dropoutMask: (out) => dropoutMask({ out, probability: 0.5, rng: rng(1) }),
    jitter: (x) => jitter({ images: { ...x, dims: [1, ...x.dims] }, shift: 1, rng: rng(1) }),
  }

  describe.each(Object.entries(faces))('%s', (_, face) => {
    test('a detached buffer', () => {
      const error = thrown(() => face(tensor('float32', [2, 3], detached())))
      expect(error).toBeInstanceOf(ShapeError)
      expect(error.message).toMatch(/detached/)
    })

    test('shared memory', () => {
      const error = thrown(() => face(tensor('float32', [2, 3], new Float32Array(new SharedArrayBuffer(24)))))
      expect(error).toBeInstanceOf(ArgumentError)
      expect(error.message).toMatch(/another thread/)
    })

    test.each([
      new Float64Array(6),
      new Int32Array(6),
      [1, 2, 3, 4, 5, 6],
      Buffer.alloc(6),
      new DataView(new ArrayBuffer(24)),
    ])('the wrong array %#', (data) => {
      expect(thrown(() => face({ type: 'float32', dims: [2, 3], data } as unknown as Tensor))).toBeInstanceOf(
        ShapeError,
      )
    })

    test('the wrong type, the wrong dims, not a tensor', () => {
      expect(thrown(() => face(zeros('float64', [2, 3])))).toBeInstanceOf(ShapeError)
      for (const dims of [
        [2, 4],
        [-2, -3],
        [1.5, 4],
        [Number.NaN, 6],
        ['2', 3],
        [2 ** 40, 2 ** 40],
      ])
        expect(thrown(() => face({ type: 'float32', dims, data: new Float32Array(6) } as Tensor))).toBeInstanceOf(
          ShapeError,
        )
    })
  })

  test('an unaligned view gives the bits of the aligned one', () => {
    const bytes = new ArrayBuffer(64)
    const shifted = new Float32Array(bytes, 12, 6)
    shifted.set(student().data)
    for (const { name: backend } of backends().filter(({ available }) => available)) {
      const of = (x: Tensor) => softTargetLoss({ student: x, teacher: teacher(), temperature: 3, backend })
      const [a, b] = [of(student()), of(tensor('float32', [2, 3], shifted))]
      expect(a.value).toBe(b.value)
      expect([...a.gradient.data]).toEqual([...b.gradient.data])
    }
  })

  test('views of memory that was resized: what tracks its length has its length, what lies outside is refused', () => {
    const Resizable = ArrayBuffer as unknown as new (
      size: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer & { resize(size: number): void }
    const memory = new Resizable(24, { maxByteLength: 48 })
    const tracking = new Float32Array(memory)
    const fixed = new Float32Array(memory, 0, 6)
    tracking.set(teacher().data as Float32Array)
    const want = klDivergence({ student: student(), teacher: teacher() }).value
    for (const data of [tracking, fixed])
      expect(klDivergence({ student: student(), teacher: tensor('float32', [2, 3], data) }).value).toBe(want)
    memory.resize(16)
    for (const data of [tracking, fixed]) {
      const error = thrown(() => klDivergence({ student: student(), teacher: tensor('float32', [2, 3], data) }))
      expect(error).toBeInstanceOf(ShapeError)
      expect(error.message).toMatch(/"teacher" must be 6 elements for dims \[2, 3\], got [04]/)
    }
    const four = softmax({ logits: tensor('float32', [1, 4], tracking) }).data
    expect(four.reduce((sum, p) => sum + p)).toBeCloseTo(1, 6)
  })

  test('a view of WebAssembly memory that has grown is detached', () => {
    const { WebAssembly: wasm } = globalThis as unknown as {
      WebAssembly: { Memory: new (size: { initial: number }) => { buffer: ArrayBuffer; grow(pages: number): number } }
    }
    const memory = new wasm.Memory({ initial: 1 })
    const data = new Float32Array(memory.buffer, 0, 6)
    softmax({ logits: tensor('float32', [2, 3], data) })
    memory.grow(1)
    expect(thrown(() => softmax({ logits: tensor('float32', [2, 3], data) })).message).toMatch(/detached/)
  })

  test('out that overlaps what is read is refused, out that is the student is not', () => {
    const memory = new Float32Array(12)
    const x = tensor('float32', [2, 3], memory.subarray(0, 6))
    const y = tensor('float32', [2, 3], memory.subarray(1, 7))
    expect(thrown(() => klDivergence({ student: x, teacher: teacher(), out: y })).message).toMatch(
      /apart from.*student/,
    )
    expect(thrown(() => klDivergence({ student: student(), teacher: x, out: x })).message).toMatch(
      /apart from.*teacher/,
    )
    expect(thrown(() => sgd({ parameter: x, gradient: x, velocity: student(), rate: 1 })).message).toMatch(/apart from/)
    expect(thrown(() => sgd({ parameter: student(), gradient: x, velocity: y, rate: 1 })).message).toMatch(/apart from/)
    const images = tensor('float32', [1, 2, 3], x.data)
    expect(thrown(() => jitter({ images, shift: 1, rng: rng(1), out: images }))).toBeInstanceOf(ArgumentError)
    const inPlace = student()
    const want = klDivergence({ student: student(), teacher: teacher() }).gradient.data
    expect(klDivergence({ student: inPlace, teacher: teacher(), out: inPlace }).gradient.data).toBe(inPlace.data)
    expect([...inPlace.data]).toEqual([...want])
  })
})

describe('numbers out of range', () => {
  const bad = [0, -1, 1e-39, 1e31, Number.NaN, Number.POSITIVE_INFINITY, '4', null, 4n]
  test.each(bad)('temperature %s', (temperature) => {
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

  test('hardWeight, smoothing, rates, steps, probabilities', () => {
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

  test('row weights that are negative or not finite are named by row', () => {
    for (const weight of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      const rowWeights = f32([2], [1, weight])
      const error = thrown(() => klDivergence({ student: student(), teacher: teacher(), rowWeights }))
      expect(error).toBeInstanceOf(ArgumentError)
      expect(error.message).toMatch(/rowWeights.*row 1/)
    }
  })
})

test.each(backends().filter(({ available }) => available))('a million classes on $name', ({ name: backend }) => {
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
})

describe.each(backends().filter(({ available }) => available))('rows that $name refuses', ({ name: backend }) => {
  test.each([3, 4, -2, 2 ** 31 - 1, -(2 ** 31)])('label %d', (label) => {
    const labels = i32(0, label)
    const error = thrown(() => crossEntropy({ student: student(), labels, backend }))
    expect(error).toBeInstanceOf(ArgumentError)
    expect(error.message).toContain(`got ${label}`)
    expect(error.message).toMatch(/"labels" must be .* row 1/)
    const soft = { student: student(), teacher: teacher(), temperature: 1, labels, hardWeight: 0.5, backend }
    expect(thrown(() => softTargetLoss(soft))).toBeInstanceOf(ArgumentError)
  })

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('logits with %d', (value) => {
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

  test('a row of −∞ alone, and half-precision NaN', () => {
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
