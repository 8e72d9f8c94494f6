import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { reference } from '../../src/reference/index.js'
import { gradcheck } from './gradcheck.js'

type Name = 'kl_divergence' | 'reverse_kl' | 'js_divergence' | 'total_variation'

/** The value of one row, and its gradient where there is room for it. */
function value(
  name: Name,
  z: ArrayLike<number>,
  v: ArrayLike<number>,
  own: number[],
  gradient: Float32Array | null = null,
): number {
  const result = new Float64Array(1)
  const buffers = [Float32Array.from(z), Float32Array.from(v), null, gradient, result, null]
  reference[name](buffers, [1, z.length, ...own, 0])
  return result[0]!
}

const pair = fc.integer({ min: 2, max: 6 }).chain((classes) => {
  const row = fc.array(fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround), {
    minLength: classes,
    maxLength: classes,
  })
  return fc.record({ z: row, v: row })
})
const temperature = fc.constantFrom(0.5, 1, 4, 20)
const betas = fc.double({ min: 0.01, max: 0.99, noNaN: true })
const inf = Number.POSITIVE_INFINITY

describe('gradients against finite differences', () => {
  test('reverse_kl and js_divergence', () => {
    fc.assert(
      fc.property(pair, temperature, betas, ({ z, v }, T, beta) => {
        gradcheck((x, gradient) => value('reverse_kl', x, v, [T], gradient), z)
        gradcheck((x, gradient) => value('js_divergence', x, v, [T, beta], gradient), z)
      }),
    )
  })

  test('total_variation, away from where p and q cross', () => {
    fc.assert(
      fc.property(pair, temperature, ({ z, v }, T) => {
        const softmax = (row: number[]) => {
          const e = row.map((x) => Math.exp(x / T))
          const sum = e.reduce((a, b) => a + b)
          return e.map((x) => x / sum)
        }
        const p = softmax(v)
        fc.pre(softmax(z).every((q, c) => Math.abs(Math.log(q / p[c]!)) > 0.01))
        gradcheck((x, gradient) => value('total_variation', x, v, [T], gradient), z)
      }),
    )
  })
})

describe('closed forms', () => {
  test('two classes: Bernoulli distributions', () => {
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
    const kl = (a: number, b: number) => a * Math.log(a / b) + (1 - a) * Math.log((1 - a) / (1 - b))
    fc.assert(
      fc.property(fc.integer({ min: -40, max: 40 }), fc.integer({ min: -40, max: 40 }), betas, (a, b, beta) => {
        const [z, v] = [a / 8, b / 8]
        const [q, p] = [sigmoid(z), sigmoid(v)]
        const m = beta * p + (1 - beta) * q
        expect(value('reverse_kl', [z, 0], [v, 0], [1])).toBeCloseTo(kl(q, p), 12)
        expect(value('js_divergence', [z, 0], [v, 0], [1, beta])).toBeCloseTo(
          beta * kl(p, m) + (1 - beta) * kl(q, m),
          12,
        )
        expect(value('total_variation', [z, 0], [v, 0], [1])).toBeCloseTo(Math.abs(p - q), 12)
      }),
    )
  })

  test('nothing in common: total variation 1, JSD the entropy of (β, 1 − β), reverse KL ∞', () => {
    const z = [0, 1, -inf, -inf]
    const v = [-inf, -inf, 2, 0]
    expect(value('total_variation', z, v, [3])).toBeCloseTo(1, 15)
    expect(value('reverse_kl', z, v, [3])).toBe(inf)
    for (const beta of [0.01, 0.5, 0.9]) {
      const entropy = -beta * Math.log(beta) - (1 - beta) * Math.log(1 - beta)
      expect(value('js_divergence', z, v, [3, beta])).toBeCloseTo(entropy, 14)
    }
  })

  test('0 ≤ JSD ≤ h(β), 0 ≤ TV ≤ 1, and Pinsker: TV² ≤ KL/2 either way', () => {
    fc.assert(
      fc.property(pair, temperature, betas, ({ z, v }, T, beta) => {
        const entropy = -beta * Math.log(beta) - (1 - beta) * Math.log(1 - beta)
        const js = value('js_divergence', z, v, [T, beta])
        const tv = value('total_variation', z, v, [T])
        expect(js).toBeGreaterThanOrEqual(0)
        expect(js).toBeLessThanOrEqual(entropy + 1e-15)
        expect(tv).toBeLessThanOrEqual(1)
        expect(tv ** 2).toBeLessThanOrEqual(value('reverse_kl', z, v, [T]) / 2 + 1e-15)
        expect(tv ** 2).toBeLessThanOrEqual(value('kl_divergence', z, v, [T]) / 2 + 1e-15)
      }),
    )
  })

  test('reverse KL is KL with the sides exchanged; JSD at β is JSD at 1 − β with the sides exchanged', () => {
    fc.assert(
      fc.property(pair, temperature, betas, ({ z, v }, T, beta) => {
        expect(value('reverse_kl', z, v, [T])).toBeCloseTo(value('kl_divergence', v, z, [T]), 14)
        const js = value('js_divergence', z, v, [T, beta])
        expect(value('js_divergence', v, z, [T, 1 - beta])).toBeCloseTo(js, 14)
      }),
    )
  })

  test('JSD/β → KL(p ‖ q) for β → 0, JSD/(1 − β) → KL(q ‖ p) for β → 1', () => {
    const z = [1, 0, -1]
    const v = [0.5, 2, 0]
    const near = (got: number, want: number) => expect(Math.abs(got / want - 1)).toBeLessThan(1e-5)
    near(value('js_divergence', z, v, [1, 1e-7]) / 1e-7, value('kl_divergence', z, v, [1]))
    near(value('js_divergence', z, v, [1, 1 - 1e-7]) / 1e-7, value('reverse_kl', z, v, [1]))
  })

  test('T → ∞: T²·reverse KL → ½·Var(z − v), T²·JSD → β(1 − β)·½·Var, T·TV → the mean deviation/2', () => {
    const z = [1, 2, 4, -3]
    const v = [0, 2.5, -1, 0]
    const d = z.map((x, c) => x - v[c]!)
    const mean = d.reduce((a, b) => a + b) / 4
    const half = d.reduce((a, b) => a + (b - mean) ** 2, 0) / 8
    const deviation = d.reduce((a, b) => a + Math.abs(b - mean), 0) / 8
    for (const T of [1e6, 1e12, 1e30]) {
      const near = (got: number, want: number) => expect(Math.abs(got / want - 1)).toBeLessThan(1e-5)
      near(T * (T * value('reverse_kl', z, v, [T])), half)
      near(T * (T * value('js_divergence', z, v, [T, 0.3])), 0.21 * half)
      near(T * value('total_variation', z, v, [T]), deviation)
    }
  })

  test('where the teacher rules out what the student does, the gradient takes its mass away', () => {
    const gradient = new Float32Array(3)
    expect(value('reverse_kl', [0, 0, 0], [-inf, 0, 1], [2], gradient)).toBe(inf)
    // dQ/dz of the excluded mass Q = ⅓: q(1 − Q)/T there, −q·Q/T elsewhere.
    const want = [1 / 9, -1 / 18, -1 / 18]
    for (const [c, g] of gradient.entries()) expect(g).toBeCloseTo(want[c]!, 7)
  })
})
