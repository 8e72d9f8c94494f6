import { rng } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { reference } from '../../src/reference/index.js'
import { gradcheck } from './gradcheck.js'

const inf = Number.POSITIVE_INFINITY
const row = (classes: number) =>
  fc.array(fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround), { minLength: classes, maxLength: classes })
const temperature = fc.constantFrom(0.5, 1, 4, 20)

function softmax(logits: readonly number[], T: number): number[] {
  const e = logits.map((z) => Math.exp(z / T))
  const sum = e.reduce((a, b) => a + b)
  return e.map((x) => x / sum)
}

type Values = [value: number, first: number, second: number]

describe('dkd', () => {
  const pair = fc
    .integer({ min: 2, max: 6 })
    .chain((classes) =>
      fc.record({ z: row(classes), v: row(classes), label: fc.integer({ min: 0, max: classes - 1 }) }),
    )
  const dkd = (
    z: ArrayLike<number>,
    v: ArrayLike<number>,
    label: number,
    [T, alpha, beta]: [number, number, number],
    gradient: Float32Array | null = null,
  ): Values => {
    const result = new Float64Array(3)
    const buffers = [Float32Array.from(z), Float32Array.from(v), Int32Array.of(label), null, gradient, result, null]
    reference.dkd(buffers, [1, z.length, T, alpha, beta, -100, 0])
    return [...result] as Values
  }

  test('the gradient against finite differences', () => {
    fc.assert(
      fc.property(
        pair,
        temperature,
        fc.constantFrom(0, 1, 2.5),
        fc.constantFrom(0, 1, 8),
        ({ z, v, label }, T, alpha, beta) =>
          gradcheck((x, gradient) => dkd(x, v, label, [T, alpha, beta], gradient)[0], z),
      ),
    )
  })

  test('with α = 1 and β = 1 − p_t it is T²·KL, and so is its gradient', () => {
    fc.assert(
      fc.property(pair, temperature, ({ z, v, label }, T) => {
        const beta = 1 - softmax(v, T)[label]!
        const gradient = new Float32Array(z.length)
        const [value] = dkd(z, v, label, [T, 1, beta], gradient)
        const result = new Float64Array(1)
        const want = new Float32Array(z.length)
        reference.kl_divergence(
          [Float32Array.from(z), Float32Array.from(v), null, want, result, null],
          [1, z.length, T, 0],
        )
        expect(value).toBeCloseTo(T * T * result[0]!, 11)
        for (const [c, g] of gradient.entries()) expect(g).toBeCloseTo(T * T * want[c]!, 5)
      }),
    )
  })

  test('two classes: there is nothing among the rest', () => {
    const [value, target, rest] = dkd([1, -1], [0.5, 2], 0, [3, 1, 8])
    expect(rest).toBe(0)
    expect(value).toBe(target)
  })

  test('a teacher that excludes the rest leaves −ln q_t, one that excludes the label −ln (1 − q_t)', () => {
    const q = softmax([1, 2, 3], 2)
    expect(dkd([1, 2, 3], [0, -inf, -inf], 0, [2, 1, 8])[0]).toBeCloseTo(4 * -Math.log(q[0]!), 12)
    expect(dkd([1, 2, 3], [-inf, 0, 0], 0, [2, 1, 0])[0]).toBeCloseTo(4 * -Math.log(1 - q[0]!), 12)
  })
})

describe('dist', () => {
  const size = fc.integer({ min: 3, max: 5 })
  // Normal numbers: those of fast-check are mostly 0, and what does not vary has its own test.
  const batch = fc.tuple(size, size, fc.nat()).map(([rows, classes, seed]) => {
    const random = rng(seed)
    const logits = () => Array.from({ length: rows * classes }, () => Math.fround(2 * random.normal()))
    return { rows, classes, z: logits(), v: logits() }
  })
  const dist = (
    { rows, classes, v }: { rows: number; classes: number; v: ArrayLike<number> },
    z: ArrayLike<number>,
    [T, beta, gamma]: [number, number, number],
    gradient: Float32Array | null = null,
    weights: Float32Array | null = null,
  ): Values => {
    const result = new Float64Array(3)
    const buffers = [Float32Array.from(z), Float32Array.from(v), weights, gradient, result, null]
    reference.dist(buffers, [rows, classes, T, beta, gamma, 0])
    return [...result] as Values
  }
  const pearson = (a: number[], b: number[]): number => {
    const n = a.length
    const sums = [a, b].map((x) => x.reduce((s, y) => s + y, 0))
    const product = (x: number[], y: number[]) => x.reduce((s, value, i) => s + value * y[i]!, 0)
    const covariance = n * product(a, b) - sums[0]! * sums[1]!
    return covariance / Math.sqrt((n * product(a, a) - sums[0]! ** 2) * (n * product(b, b) - sums[1]! ** 2))
  }
  const weights = Float32Array.of(1, 0.5, 2, 1.5, 0.25)

  test('the gradient against finite differences', () => {
    fc.assert(
      fc.property(batch, fc.constantFrom(1, 4), fc.constantFrom([1, 0], [0, 1], [2, 3]), (b, T, [beta, gamma]) => {
        // Nearly constant rows and columns have gradients that a step of a thousandth does not see.
        const spread = (values: number[]) => Math.max(...values) - Math.min(...values) > 0.2
        const columns = (x: number[]) =>
          Array.from({ length: b.classes }, (_, c) => x.filter((_, i) => i % b.classes === c))
        const rows = (x: number[]) =>
          Array.from({ length: b.rows }, (_, r) => x.slice(r * b.classes, (r + 1) * b.classes))
        const q = rows(b.z).flatMap((z) => softmax(z, T).map(Math.log))
        fc.pre([...columns(q), ...rows(q)].every(spread))
        const w = weights.slice(0, b.rows)
        gradcheck((x, gradient) => dist(b, x, [T, beta!, gamma!], gradient, w)[0], b.z, 2e-3)
      }),
    )
  })

  test('Pearson’s formula as it is printed, over rows and over columns', () => {
    fc.assert(
      fc.property(batch, temperature, (b, T) => {
        const rows = (x: number[]) =>
          Array.from({ length: b.rows }, (_, r) => softmax(x.slice(r * b.classes, (r + 1) * b.classes), T))
        const [q, p] = [rows(b.z), rows(b.v)]
        const spread = (x: number[]) => Math.max(...x) - Math.min(...x) > 1e-3
        const column = (x: number[][], c: number) => x.map((values) => values[c]!)
        fc.pre([...q, ...p].every(spread) && q[0]!.every((_, c) => spread(column(q, c)) && spread(column(p, c))))
        const [, inter, intra] = dist(b, b.z, [T, 1, 1])
        const mean = (x: number[]) => x.reduce((s, y) => s + y, 0) / x.length
        expect(inter).toBeCloseTo(mean(q.map((x, r) => 1 - pearson(x, p[r]!))), 8)
        expect(intra).toBeCloseTo(mean(q[0]!.map((_, c) => 1 - pearson(column(q, c), column(p, c)))), 8)
      }),
    )
  })

  test('relations that are the same: 0, wherever the logits lie; turned round: 2', () => {
    fc.assert(
      fc.property(batch, fc.constantFrom(1, 1e6), fc.integer({ min: -3, max: 3 }), (b, T, offset) => {
        const v = b.v.map((x) => Math.round(x * 64) / 64)
        fc.pre(Math.max(...v) > Math.min(...v) + 0.1)
        const [value] = dist(
          { ...b, v },
          v.map((x) => x + offset),
          [T, 1, 0],
        )
        const constant = Array.from({ length: b.rows }, (_, r) => v.slice(r * b.classes, (r + 1) * b.classes)).filter(
          (x) => Math.max(...x) === Math.min(...x),
        ).length
        expect(value).toBeCloseTo(constant / b.rows, 12)
      }),
    )
    // At high T probabilities are affine in the logits: those of −v relate to those of v as −1.
    const v = [1, 2, 4, 0, -1, 3]
    expect(
      dist(
        { rows: 2, classes: 3, v },
        v.map((x) => -x),
        [1e9, 1, 0],
      )[0],
    ).toBeCloseTo(2, 8)
    expect(
      dist(
        { rows: 2, classes: 3, v },
        v.map((x) => 3 * x + 1),
        [1e9, 1, 0],
      )[0],
    ).toBeCloseTo(0, 8)
  })

  test('what does not vary correlates with nothing and has no gradient', () => {
    const gradient = new Float32Array(3)
    expect(dist({ rows: 1, classes: 3, v: [1, 2, 3] }, [5, 5, 5], [1, 1, 1], gradient)).toEqual([2, 1, 1])
    expect([...gradient].map(Math.abs)).toEqual([0, 0, 0])
    expect(dist({ rows: 1, classes: 3, v: [1, 2, 3] }, [1, 2, 3], [1, 1, 1])).toEqual([1, 0, 1])
  })
})

describe('top_k_soft_target_loss', () => {
  const one = fc.integer({ min: 3, max: 7 }).chain((classes) =>
    fc.record({
      z: row(classes),
      v: row(classes),
      label: fc.integer({ min: -1, max: classes - 1 }),
      k: fc.integer({ min: 1, max: classes }),
      order: fc.shuffledSubarray([...Array(classes).keys()], { minLength: classes, maxLength: classes }),
    }),
  )
  interface One {
    readonly v: number[]
    readonly label: number
    readonly k: number
    readonly order: readonly number[]
  }
  const loss = (
    { v, label, k, order }: One,
    z: ArrayLike<number>,
    T: number,
    a: number,
    gradient: Float32Array | null = null,
    logits = false,
  ): Values => {
    const p = softmax(v, T)
    const chosen = order.slice(0, k)
    const tail = Float64Array.of(Math.min(0, Math.log(order.slice(k).reduce((sum, c) => sum + p[c]!, 0))))
    const values = Float32Array.from(chosen, (c) => (logits ? v[c]! : Math.log(p[c]!)))
    const result = new Float64Array(3)
    const student = Float32Array.from(z)
    const given = [student, Int32Array.from(chosen), values, tail, Int32Array.of(label), null, gradient, result, null]
    reference.top_k_soft_target_loss(given, [1, z.length, k, T, a, -100, 0, logits ? 1 : 0])
    return [...result] as Values
  }
  const full = ({ v, label }: One, z: number[], T: number, a: number, gradient: Float32Array | null): Values => {
    const result = new Float64Array(3)
    const buffers = [Float32Array.from(z), Float32Array.from(v), Int32Array.of(label), null, gradient, result, null]
    reference.soft_target_loss(buffers, [1, z.length, T, a, -100, 0])
    return [...result] as Values
  }

  test('the gradient against finite differences', () => {
    fc.assert(
      fc.property(one, temperature, fc.constantFrom(0, 0.3, 1), (o, T, a) =>
        gradcheck((x, gradient) => loss(o, x, T, a, gradient)[0], o.z),
      ),
    )
  })

  test('all classes, or all but one: soft_target_loss itself', () => {
    fc.assert(
      fc.property(one, temperature, fc.constantFrom(0, 0.3), fc.boolean(), (o, T, a, but) => {
        const all = { ...o, k: o.v.length - Number(but) }
        const [got, want] = [new Float32Array(o.z.length), new Float32Array(o.z.length)]
        const values = loss(all, o.z, T, a, got, true)
        for (const [i, value] of full(o, o.z, T, a, want).entries()) expect(values[i]).toBeCloseTo(value, 9)
        for (const [c, g] of got.entries()) expect(g).toBeCloseTo(want[c]!, 5)
      }),
    )
  })

  test('never above the KL of all classes, and no less for more of them', () => {
    fc.assert(
      fc.property(one, temperature, (o, T) => {
        let last = 0
        for (let k = 1; k <= o.v.length; k++) {
          const [, soft] = loss({ ...o, k }, o.z, T, 0, null, true)
          expect(soft).toBeGreaterThanOrEqual(last - 1e-9)
          last = soft
        }
        expect(last).toBeCloseTo(full(o, o.z, T, 0, null)[1], 9)
      }),
    )
  })

  test('logits and the log-probabilities of the same teacher say the same', () => {
    fc.assert(
      fc.property(one, temperature, (o, T) => {
        const [byLogits] = loss(o, o.z, T, 0, null, true)
        const [byProbabilities] = loss(o, o.z, T, 0)
        expect(Math.abs(byLogits - byProbabilities)).toBeLessThan(1e-6 * T * T)
      }),
    )
  })
})
