import { type Tensor, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backends, crossEntropy, klDivergence, softTargetLoss } from '../src/index.js'

const f32 = (dims: number[], values: Iterable<number>) => tensor('float32', dims, Float32Array.from(values))
const i32 = (values: Iterable<number>) => {
  const data = Int32Array.from(values)
  return tensor('int32', [data.length], data)
}

/** Numbers of the sizes that logits and weights have. The parity table has the denormal ones. */
const number = (from: number, to: number) =>
  fc.integer({ min: from * 2 ** 16, max: to * 2 ** 16 }).map((n) => n * 2 ** -16)

const logit = number(-30, 30)

/** A batch of 1 … 6 rows of 2 … 12 classes. */
const batch = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 2, max: 12 })).chain(([rows, classes]) =>
  fc.record({
    rows: fc.constant(rows),
    classes: fc.constant(classes),
    z: fc.array(logit, { minLength: rows * classes, maxLength: rows * classes }),
    v: fc.array(logit, { minLength: rows * classes, maxLength: rows * classes }),
    labels: fc.array(fc.integer({ min: 0, max: classes - 1 }), { minLength: rows, maxLength: rows }),
    temperature: fc.double({ min: -3, max: 6, noNaN: true }).map((exponent) => 10 ** exponent),
    hardWeight: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
)

type Batch = typeof batch extends fc.Arbitrary<infer T> ? T : never

const student = ({ rows, classes, z }: Batch) => f32([rows, classes], z)
const teacher = ({ rows, classes, v }: Batch) => f32([rows, classes], v)

const largest = (values: Iterable<number>) => Math.max(...[...values].map(Math.abs))

function near(got: number, want: number, tolerance: number): void {
  expect(Math.abs(got - want)).toBeLessThanOrEqual(tolerance)
}

describe.each(backends().filter(({ available }) => available))('the convention on $name', ({ name: backend }) => {
  const loss = (b: Batch, more: { labels?: Tensor; rowWeights?: Tensor; out?: Tensor } = {}, T = b.temperature) =>
    softTargetLoss({
      student: student(b),
      teacher: teacher(b),
      temperature: T,
      backend,
      ...more,
      hardWeight: more.labels ? b.hardWeight : 0,
    })

  test('T → ∞: the gradient of a row tends to (z − v)/C within 2·max|z, v|/T of max|z, v|, for zero-mean logits (Hinton 2015, eq. 4)', () => {
    fc.assert(
      fc.property(batch, fc.constantFrom(1e3, 1e4, 1e5, 1e6), (b, T) => {
        const centre = (row: number[]) => {
          const mean = row.reduce((a, c) => a + c, 0) / row.length
          return row.map((value) => Math.fround(value - mean))
        }
        const z = centre(b.z.slice(0, b.classes))
        const v = centre(b.v.slice(0, b.classes))
        const { gradient } = loss({ ...b, rows: 1, z, v }, {}, T)
        const bound = (2 * largest([...z, ...v])) / T
        const scale = largest([...z, ...v])
        for (let c = 0; c < b.classes; c++)
          near(gradient.data[c]!, (z[c]! - v[c]!) / b.classes, bound * scale + 1e-5 * scale)
      }),
    )
  })

  test('T → ∞: the loss tends to half the variance of z − v', () => {
    fc.assert(
      fc.property(batch, (b) => {
        const d = b.z.slice(0, b.classes).map((z, c) => z - b.v[c]!)
        const mean = d.reduce((a, c) => a + c, 0) / d.length
        const half = d.reduce((a, c) => a + (c - mean) ** 2, 0) / d.length / 2
        near(
          loss({ ...b, rows: 1, z: b.z.slice(0, b.classes), v: b.v.slice(0, b.classes) }, {}, 1e6).value,
          half,
          1e-3 * half + 1e-6,
        )
      }),
    )
  })

  test('T ≪ 1: the gradient falls like T', () => {
    fc.assert(
      fc.property(batch, fc.constantFrom(1e-3, 1e-2, 1e-1), (b, T) => {
        expect(largest(loss(b, {}, T).gradient.data)).toBeLessThanOrEqual(T * (1 + 1e-6))
      }),
    )
  })

  test('KL(p, p) = 0 with gradient 0', () => {
    fc.assert(
      fc.property(batch, (b) => {
        const { value, gradient } = klDivergence({
          student: student(b),
          teacher: student(b),
          temperature: b.temperature,
          backend,
        })
        near(value, 0, 1e-12)
        near(largest(gradient.data), 0, 1e-12 / b.temperature)
      }),
    )
  })

  test('KL ≥ 0, and a logit offset of either side changes nothing that float32 logits do not', () => {
    fc.assert(
      fc.property(batch, fc.integer({ min: -8, max: 8 }), (b, offset) => {
        const whole = { ...b, z: b.z.map((value) => Math.round(value * 16) / 16) }
        const base = loss(whole)
        const moved = loss({ ...whole, z: whole.z.map((value) => value + offset) })
        expect(base.value).toBeGreaterThanOrEqual(0)
        near(moved.value, base.value, 1e-5 * base.value + 1e-6 * Math.max(1, Math.min(b.temperature, 20) ** 2))
      }),
    )
  })

  test('a permutation of the classes permutes the gradient', () => {
    fc.assert(
      fc.property(batch, fc.infiniteStream(fc.nat()), (b, keys) => {
        const order = Array.from({ length: b.classes }, (_, c) => ({ c, key: keys.next().value as number }))
          .sort((x, y) => x.key - y.key)
          .map(({ c }) => c)
        const permute = (values: ArrayLike<number>) =>
          Array.from({ length: b.rows * b.classes }, (_, i) => {
            const r = Math.floor(i / b.classes)
            return values[r * b.classes + order[i % b.classes]!]!
          })
        const labels = b.labels.map((label) => order.indexOf(label))
        const plain = loss(b, { labels: i32(b.labels) })
        const permuted = loss({ ...b, z: permute(b.z), v: permute(b.v) }, { labels: i32(labels) })
        near(permuted.value, plain.value, 1e-6 * plain.value + 1e-7 * Math.max(1, Math.min(b.temperature, 20) ** 2))
        const want = permute(plain.gradient.data)
        const scale = largest(want)
        for (let i = 0; i < want.length; i++) near(permuted.gradient.data[i]!, want[i]!, 2e-5 * scale + 1e-30)
      }),
    )
  })

  test('a batch is the weighted mean of its rows', () => {
    fc.assert(
      fc.property(batch, fc.array(number(0, 4), { minLength: 6, maxLength: 6 }), (b, all) => {
        const weights = all.slice(0, b.rows)
        const sum = weights.reduce((a, w) => a + w, 0)
        fc.pre(sum > 1e-3)
        const whole = loss(b, { labels: i32(b.labels), rowWeights: f32([b.rows], weights) })
        let value = 0
        for (let r = 0; r < b.rows; r++) {
          const at = (values: number[]) => values.slice(r * b.classes, (r + 1) * b.classes)
          const single = loss({ ...b, rows: 1, z: at(b.z), v: at(b.v) }, { labels: i32([b.labels[r]!]) })
          value += (weights[r]! / sum) * single.value
          const share = weights[r]! / sum
          const scale = largest(single.gradient.data) * share
          for (let c = 0; c < b.classes; c++)
            near(whole.gradient.data[r * b.classes + c]!, share * single.gradient.data[c]!, 2e-5 * scale + 1e-37)
        }
        near(whole.value, value, 1e-5 * value + 1e-9)
      }),
    )
  })

  test('the gradient of every row sums to 0, everything is finite at T in [1e-3, 1e6]', () => {
    fc.assert(
      fc.property(batch, (b) => {
        const { value, soft, hard, gradient } = loss(b, { labels: i32(b.labels) })
        for (const number of [value, soft, hard, ...gradient.data]) expect(Number.isFinite(number)).toBe(true)
        near(value, (1 - b.hardWeight) * soft + b.hardWeight * hard, 1e-9 * value)
        for (let r = 0; r < b.rows; r++) {
          const row = gradient.data.subarray(r * b.classes, (r + 1) * b.classes)
          near(
            row.reduce((a, g) => a + g, 0),
            0,
            1e-5 * largest(row) + 1e-37,
          )
        }
      }),
    )
  })

  test('rows that are left out are not read, have gradient 0 and leave the denominator', () => {
    fc.assert(
      fc.property(batch, fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY), (b, poison) => {
        const rest = {
          ...b,
          z: [...b.z, ...Array(b.classes).fill(poison)],
          v: [...b.v, ...Array(b.classes).fill(poison)],
        }
        const rows = b.rows + 1
        const plain = loss(b, { labels: i32(b.labels) })
        const ignored = loss({ ...rest, rows }, { labels: i32([...b.labels, -100]) })
        const weights = [...Array(b.rows).fill(1), 0]
        const weightless = loss({ ...rest, rows }, { labels: i32([...b.labels, 0]), rowWeights: f32([rows], weights) })
        for (const masked of [ignored, weightless]) {
          expect(masked.value).toBe(plain.value)
          expect([...masked.gradient.data]).toEqual([...plain.gradient.data, ...Array(b.classes).fill(0)])
        }
      }),
    )
  })

  test('a masked class is no class: the same as without its column, and gradient 0 there', () => {
    fc.assert(
      fc.property(batch, fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 1e30, 0), (b, poison) => {
        // Two columns more, one in front and one behind.
        const padded = (values: number[]) =>
          Array.from({ length: b.rows }, (_, r) => [
            poison,
            ...values.slice(r * b.classes, (r + 1) * b.classes),
            poison,
          ]).flat()
        const classMask = tensor('uint8', [b.classes + 2], new Uint8Array(b.classes + 2).fill(1))
        classMask.data[0] = 0
        classMask.data[b.classes + 1] = 0
        const plain = loss(b, { labels: i32(b.labels) })
        const masked = softTargetLoss({
          student: f32([b.rows, b.classes + 2], padded(b.z)),
          teacher: f32([b.rows, b.classes + 2], padded(b.v)),
          temperature: b.temperature,
          labels: i32(b.labels.map((label) => label + 1)),
          hardWeight: b.hardWeight,
          classMask,
          backend,
        })
        near(masked.value, plain.value, 1e-6 * plain.value + 1e-7 * Math.max(1, Math.min(b.temperature, 20) ** 2))
        const scale = largest(plain.gradient.data)
        for (let r = 0; r < b.rows; r++) {
          const row = masked.gradient.data.subarray(r * (b.classes + 2), (r + 1) * (b.classes + 2))
          expect(Math.abs(row[0]!) + Math.abs(row[b.classes + 1]!)).toBe(0)
          for (let c = 0; c < b.classes; c++)
            near(row[c + 1]!, plain.gradient.data[r * b.classes + c]!, 2e-5 * scale + 1e-30)
        }
      }),
    )
  })

  test('a distribution that is onehot is a label', () => {
    fc.assert(
      fc.property(batch, fc.constantFrom(0, 0.1, 1), (b, smoothing) => {
        const onehot = b.labels.flatMap((label) => Array.from({ length: b.classes }, (_, c) => (c === label ? 1 : 0)))
        const distribution = f32([b.rows, b.classes], onehot)
        const want = crossEntropy({ student: student(b), labels: i32(b.labels), smoothing, backend })
        const got = crossEntropy({ student: student(b), distribution, smoothing, backend })
        near(got.value, want.value, 1e-6 * want.value + 1e-7)
        for (const [i, g] of got.gradient.data.entries()) near(g, want.gradient.data[i]!, 1e-6)
      }),
    )
  })

  test('label −1: the soft term only, and the row counts', () => {
    fc.assert(
      fc.property(batch, (b) => {
        const unlabelled = loss(b, { labels: i32(b.labels.map(() => -1)) })
        const soft = loss(b).value
        expect(unlabelled.hard).toBe(0)
        near(unlabelled.value, (1 - b.hardWeight) * soft, 1e-9 * soft)
      }),
    )
  })

  test('teacher −∞ is no mass; student −∞ where there is mass is a loss of ∞, not NaN', () => {
    const v = f32([1, 3], [Number.NEGATIVE_INFINITY, 0, 0])
    const { value } = klDivergence({ student: f32([1, 3], [0, 0, 0]), teacher: v, backend })
    near(value, Math.log(1.5), 1e-6)
    const infinite = klDivergence({ student: f32([1, 3], [0, Number.NEGATIVE_INFINITY, 0]), teacher: v, backend })
    expect(infinite.value).toBe(Number.POSITIVE_INFINITY)
    for (const g of infinite.gradient.data) expect(Number.isFinite(g)).toBe(true)
    const both = { student: v, teacher: v, backend }
    expect(klDivergence(both).value).toBe(0)
  })

  test('nothing counted: 0, and no rows at all: 0', () => {
    const nothing = softTargetLoss({
      student: f32([2, 2], [1, 2, 3, 4]),
      teacher: f32([2, 2], [1, 2, 3, 4]),
      temperature: 1,
      rowWeights: f32([2], [0, 0]),
      backend,
    })
    expect(nothing).toMatchObject({ value: 0, soft: 0, hard: 0 })
    expect([...nothing.gradient.data]).toEqual([0, 0, 0, 0])
    const empty = softTargetLoss({ student: f32([0, 2], []), teacher: f32([0, 2], []), temperature: 1, backend })
    expect(empty.value).toBe(0)
  })
})
