import { ArgumentError, rng, ShapeError, type Tensor, tensor } from '@imago/tensor'
import { describe, expect, test } from 'vitest'
import { backends, jitter, klDivergence, sgd, signatures, softmax, softTargetLoss } from '../../src/index.js'
import { faces, student, teacher, tensorsOf, thrown } from './every-face.js'

// Row numbers are those of the catalogue in docs/kernels/abuse.md.

test('every kernel has a face in the table', () => {
  expect([...new Set(Object.values(faces).map(({ kernel }) => kernel))].sort()).toEqual(Object.keys(signatures).sort())
})

type TypedArray = Float32Array | Float64Array | Uint16Array | Int32Array | Uint8Array
type Numeric = Tensor & { readonly data: TypedArray }

/** The same tensor with other data behind it. */
const over = (x: Tensor, data: unknown): Tensor => ({ ...x, data }) as Tensor

type ArrayClass = new (from: number | ArrayBufferLike) => TypedArray
const classOf = (x: Tensor): ArrayClass => x.data.constructor as ArrayClass

describe.each(Object.entries(faces))('%s', (_, { make, call }) => {
  test('accepts what it is given here', () => {
    call(make())
  })

  describe.each(tensorsOf(make()))('%s', (name) => {
    const put = (change: (x: Numeric) => unknown) => {
      const options = make()
      return thrown(() => call({ ...options, [name]: change(options[name] as Numeric) }))
    }

    test('row 1: a detached buffer', () => {
      const error = put((x) => {
        structuredClone(x.data.buffer, { transfer: [x.data.buffer as ArrayBuffer] })
        return x
      })
      expect(error).toBeInstanceOf(ShapeError)
      expect(error.message).toMatch(/detached/)
    })

    test('row 2: shared memory', () => {
      const error = put((x) => over(x, new (classOf(x))(new SharedArrayBuffer(x.data.byteLength))))
      expect(error).toBeInstanceOf(ArgumentError)
      expect(error.message).toMatch(/another thread/)
    })

    test('row 9: arrays of another kind', () => {
      for (const wrong of [
        (n: number) => new BigInt64Array(n),
        (n: number) => new Int8Array(n),
        (n: number) => Array(n).fill(1),
        (n: number) => ({ length: n }),
        (n: number) => new DataView(new ArrayBuffer(4 * n)),
        () => 'data',
        () => null,
      ])
        expect(put((x) => over(x, wrong(x.data.length)))).toBeInstanceOf(ShapeError)
    })

    test('row 11: another type, other dims, not a tensor', () => {
      expect(put((x) => ({ ...x, type: 'int64' }))).toMatchObject({
        code: expect.stringMatching(/^ERR_(SHAPE|ARGUMENT)$/),
      })
      expect(put((x) => ({ ...x, type: 'toString' }))).toMatchObject({
        code: expect.stringMatching(/^ERR_(SHAPE|ARGUMENT)$/),
      })
      for (const not of [7, 'x', [], {}, new Float32Array(6)])
        expect(put(() => not)).toMatchObject({ code: expect.stringMatching(/^ERR_(SHAPE|ARGUMENT)$/) })
      for (const size of [
        -1,
        -0.5,
        1.5,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        1e10,
        2 ** 40,
        2 ** 53,
        '2',
        { valueOf: () => 2 },
      ])
        expect(put((x) => ({ ...x, dims: [...x.dims.slice(0, -1), size] }))).toMatchObject({
          code: expect.stringMatching(/^ERR_(SHAPE|ARGUMENT)$/),
        })
      for (const size of [-1, 2 ** 32, 2 ** 53])
        expect(put((x) => ({ ...x, dims: x.dims.map(() => size) }))).toMatchObject({
          code: expect.stringMatching(/^ERR_(SHAPE|ARGUMENT)$/),
        })
    })
  })

  test('row 15: a getter that throws, and one that calls the kernel again', () => {
    for (const name of Object.keys(make())) {
      const throwing = Object.defineProperty(make(), name, {
        enumerable: true,
        get() {
          throw new EvalError('from the getter')
        },
      })
      expect(thrown(() => call(throwing))).toEqual(new EvalError('from the getter'))
      const options = make()
      const value = options[name]
      let again = 0
      call(
        Object.defineProperty(options, name, {
          enumerable: true,
          get() {
            if (again++ < 3) call(make())
            return value
          },
        }),
      )
      expect(again).toBeGreaterThan(0)
    }
  })

  test('row 15: a getter that takes memory away, or gives another tensor every time', () => {
    const names = tensorsOf(make())
    for (const name of names)
      for (const victim of names) {
        const options = make()
        const [value, gone] = [options[name], options[victim] as Numeric]
        let reads = 0
        const hostile = Object.defineProperty(options, name, {
          enumerable: true,
          get() {
            if (reads++ === 1 && gone.data.buffer.byteLength > 0)
              structuredClone(gone.data.buffer, { transfer: [gone.data.buffer as ArrayBuffer] })
            return reads % 2 ? value : { ...(value as Tensor), dims: [1, 1], data: new Float32Array(1) }
          },
        })
        // Either the answer, where it read everything once, or an error: never what lies behind the memory.
        try {
          call(hostile)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }
  })
})

describe('views', () => {
  test('row 10: an unaligned view gives the bits of the aligned one', () => {
    const shifted = new Float32Array(new ArrayBuffer(64), 12, 6)
    shifted.set(student().data)
    for (const { name: backend } of backends().filter(({ available }) => available)) {
      const of = (x: Tensor) => softTargetLoss({ student: x, teacher: teacher(), temperature: 3, backend })
      const [a, b] = [of(student()), of(tensor('float32', [2, 3], shifted))]
      expect(a.value).toBe(b.value)
      expect([...a.gradient.data]).toEqual([...b.gradient.data])
    }
  })

  test('rows 3 and 7: what tracks its length has its length, what lies outside is refused', () => {
    const Resizable = ArrayBuffer as unknown as new (
      size: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer & { resize(size: number): void }
    const memory = new Resizable(24, { maxByteLength: 48 })
    const tracking = new Float32Array(memory)
    const fixed = new Float32Array(memory, 0, 6)
    tracking.set(teacher().data)
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

  test('row 8: a view of WebAssembly memory that has grown is detached', () => {
    const { WebAssembly: wasm } = globalThis as unknown as {
      WebAssembly: { Memory: new (size: { initial: number }) => { buffer: ArrayBuffer; grow(pages: number): number } }
    }
    const memory = new wasm.Memory({ initial: 1 })
    const data = new Float32Array(memory.buffer, 0, 6)
    softmax({ logits: tensor('float32', [2, 3], data) })
    memory.grow(1)
    expect(thrown(() => softmax({ logits: tensor('float32', [2, 3], data) })).message).toMatch(/detached/)
  })

  test('row 12: out that overlaps what is read is refused, out that is the student is not', () => {
    const memory = new Float32Array(12)
    const x = tensor('float32', [2, 3], memory.subarray(0, 6))
    const y = tensor('float32', [2, 3], memory.subarray(1, 7))
    const apart = (call: () => unknown, name: RegExp) => expect(thrown(call).message).toMatch(name)
    apart(() => klDivergence({ student: x, teacher: teacher(), out: y }), /apart from.*student/)
    apart(() => klDivergence({ student: student(), teacher: x, out: x }), /apart from.*teacher/)
    apart(() => sgd({ parameter: x, gradient: x, velocity: student(), rate: 1 }), /apart from/)
    apart(() => sgd({ parameter: student(), gradient: x, velocity: y, rate: 1 }), /apart from/)
    const images = tensor('float32', [1, 2, 3], x.data)
    expect(thrown(() => jitter({ images, shift: 1, rng: rng(1), out: images }))).toBeInstanceOf(ArgumentError)
    const inPlace = student()
    const want = klDivergence({ student: student(), teacher: teacher() }).gradient.data
    expect(klDivergence({ student: inPlace, teacher: teacher(), out: inPlace }).gradient.data).toBe(inPlace.data)
    expect([...inPlace.data]).toEqual([...want])
  })
})
