import { type Rng, rng, tensor } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ExpertAnswers, solveEq5 } from '../../src/index.js'

function softmax(random: Rng, n: number, scale: number): Float32Array {
  const logits = Array.from({ length: n }, () => scale * random.normal())
  const most = Math.max(...logits)
  const powers = logits.map((z) => Math.exp(z - most))
  const sum = powers.reduce((total, e) => total + e, 0)
  return Float32Array.from(powers, (e) => e / sum)
}

interface Known {
  readonly set: readonly number[]
  readonly own: ArrayLike<number>
}

/** KL(p ‖ q) + Σ KL(p^m ‖ q) as eq. 5 has it, less what does not depend on q. */
function objective(p: ArrayLike<number>, experts: readonly Known[], q: ArrayLike<number>): number {
  let value = 0
  for (let c = 0; c < p.length; c++) value -= p[c]! * Math.log(q[c]!)
  for (const { set, own } of experts) {
    let dustbin = 1
    for (const [i, c] of set.entries()) {
      value -= own[i]! * Math.log(q[c]!)
      dustbin -= q[c]!
    }
    value -= own[set.length]! * Math.log(dustbin)
  }
  return value
}

/** The paper's way: gradient descent on the logits of q. */
function byGradientDescent(p: ArrayLike<number>, experts: readonly Known[]): Float64Array {
  const z = Float64Array.from({ length: p.length }, (_, c) => Math.log(Math.max(p[c]!, 1e-12)))
  const q = new Float64Array(p.length)
  for (let step = 0; step < 20_000; step++) {
    const most = Math.max(...z)
    const sum = z.reduce((total, x) => total + Math.exp(x - most), 0)
    for (let c = 0; c < q.length; c++) q[c] = Math.exp(z[c]! - most) / sum
    const wanted = Float64Array.from(p)
    for (const { set, own } of experts) {
      const dustbin = 1 - set.reduce((total, c) => total + q[c]!, 0)
      for (let c = 0; c < q.length; c++) {
        const i = set.indexOf(c)
        wanted[c]! += i >= 0 ? own[i]! : (own[set.length]! * q[c]!) / dustbin
      }
    }
    for (let c = 0; c < q.length; c++) z[c]! -= 0.3 * ((1 + experts.length) * q[c]! - wanted[c]!)
  }
  return q
}

const situation = fc.record({
  seed: fc.nat(),
  classes: fc.integer({ min: 2, max: 10 }),
  active: fc.integer({ min: 0, max: 4 }),
  scale: fc.constantFrom(0.5, 2, 4),
})

function draw({ seed, classes, active, scale }: { seed: number; classes: number; active: number; scale: number }) {
  const random = rng(seed)
  const experts = Array.from({ length: active }, () => {
    const size = 1 + random.integer(classes - 1)
    const set = Array.from({ length: classes }, (_, c) => ({ c, key: random.uniform() }))
      .sort((a, b) => a.key - b.key)
      .slice(0, size)
      .map(({ c }) => c)
    return { set, own: softmax(random, size + 1, scale) }
  })
  return { general: softmax(random, classes, scale), experts }
}

const answers = (experts: readonly Known[]): ExpertAnswers[] =>
  experts.map(({ set, own }) => ({
    classes: set,
    rows: [0],
    probabilities: tensor('float32', [1, set.length + 1], Float32Array.from(own)),
  }))

describe('eq. 5', () => {
  test('is as low as gradient descent on the logits gets, or lower', () => {
    fc.assert(
      fc.property(situation, (s) => {
        const { general, experts } = draw(s)
        const { q } = solveEq5({ general: tensor('float32', [1, s.classes], general), experts: answers(experts) })
        const descended = byGradientDescent(general, experts)
        expect(objective(general, experts, q.data)).toBeLessThanOrEqual(objective(general, experts, descended) + 1e-6)
      }),
      { numRuns: 40 },
    )
  })

  test('one specialist: halfway on its set, the rest as the generalist has it', () => {
    fc.assert(
      fc.property(situation, (s) => {
        const { general, experts } = draw({ ...s, active: 1 })
        const { set, own } = experts[0]!
        const { q } = solveEq5({ general: tensor('float32', [1, s.classes], general), experts: answers(experts) })
        const outside = general.reduce((sum, p, c) => sum + (set.includes(c) ? 0 : p), 0)
        for (let c = 0; c < s.classes; c++) {
          const i = set.indexOf(c)
          const expected =
            i >= 0 ? (general[c]! + own[i]!) / 2 : (general[c]! / outside) * ((outside + own[set.length]!) / 2)
          expect(q.data[c]).toBeCloseTo(expected, 6)
        }
      }),
    )
  })

  test('experts run on some rows, in any order; the others keep the generalist', () => {
    const random = rng(5)
    const general = tensor('float32', [4, 6], Float32Array.from([0, 1, 2, 3].flatMap(() => [...softmax(random, 6, 2)])))
    const [a, b] = [softmax(random, 3, 2), softmax(random, 3, 2)]
    const both = tensor('float32', [2, 3], Float32Array.from([...a, ...b]))
    const { q, steps, unsolved } = solveEq5({
      general,
      experts: [{ classes: [4, 1], rows: [3, 1], probabilities: both }],
    })
    expect(unsolved).toBe(0)
    expect([...steps.data].map((n) => n > 0)).toEqual([false, true, false, true])
    expect([...q.data.subarray(0, 6)]).toEqual(
      [...q.data.subarray(0, 6)].map((_, c) => expect.closeTo(general.data[c]!, 6)),
    )
    expect(q.data[6 + 4]).toBeCloseTo((general.data[6 + 4]! + b[0]!) / 2, 6)
    expect(q.data[18 + 4]).toBeCloseTo((general.data[18 + 4]! + a[0]!) / 2, 6)
  })

  test.each([
    [1, 1],
    [2, 7],
    [5, 7],
    [10, 7],
    [32, 7],
  ])('%i active specialists that disagree: half of the rows take at most %i evaluations', (active, most) => {
    const random = rng(active)
    const [N, C, size] = [200, 100, 10]
    const general = tensor(
      'float32',
      [N, C],
      Float32Array.from(Array.from({ length: N }, () => [...softmax(random, C, 3)]).flat()),
    )
    const experts = Array.from({ length: active }, () => ({
      classes: Array.from({ length: size }, (_, i) => (random.integer(C / size) + (i * C) / size) % C),
      rows: Array.from({ length: N }, (_, r) => r),
      probabilities: tensor(
        'float32',
        [N, size + 1],
        Float32Array.from(Array.from({ length: N }, () => [...softmax(random, size + 1, 3)]).flat()),
      ),
    }))
    const { steps, residual, unsolved } = solveEq5({ general, experts })
    expect(unsolved).toBe(0)
    expect(Math.max(...residual.data)).toBeLessThan(1e-9)
    expect([...steps.data].sort((a, b) => a - b)[N / 2]).toBeLessThanOrEqual(most)
  })

  test('a dustbin over classes that the generalist rules out shares alike', () => {
    const general = tensor('float32', [1, 4], Float32Array.of(0.5, 0.5, 0, 0))
    const probabilities = tensor('float32', [1, 3], Float32Array.of(0.25, 0.25, 0.5))
    const { q } = solveEq5({ general, experts: [{ classes: [0, 1], rows: [0], probabilities }] })
    expect([...q.data]).toEqual([0.375, 0.375, 0.125, 0.125].map((x) => expect.closeTo(x, 6)))
  })

  test.each<[string, RegExp, Partial<ExpertAnswers>]>([
    ['an empty set', /"experts\[0\].classes" must be 1 … 3 of the 4 classes, got 0/, { classes: [] }],
    ['a set of all classes', /"experts\[0\].classes" must be 1 … 3 of the 4 classes/, { classes: [0, 1, 2, 3] }],
    ['a class twice', /"experts\[0\].classes" must be different classes/, { classes: [1, 1] }],
    ['no class', /"experts\[0\].classes" must be a whole number in \[0, 3\], got 4/, { classes: [1, 4] }],
    ['a row twice', /"experts\[0\].rows" must be different rows/, { rows: [0, 0] }],
    [
      'answers that do not match the set',
      /"experts\[0\].probabilities" must be \[1, 3\]/,
      { classes: [0, 2], probabilities: tensor('float32', [1, 2], Float32Array.of(0.5, 0.5)) },
    ],
    [
      'a sum of 2',
      /"probabilities": 2 as the sum in row 0/,
      { probabilities: tensor('float32', [1, 3], Float32Array.of(1, 0.5, 0.5)) },
    ],
  ])('refuses %s', (_, message, change) => {
    const general = tensor('float32', [1, 4], Float32Array.of(0.25, 0.25, 0.25, 0.25))
    const good = {
      classes: [0, 1],
      rows: [0],
      probabilities: tensor('float32', [1, 3], Float32Array.of(0.25, 0.25, 0.5)),
    }
    expect(() => solveEq5({ general, experts: [{ ...good, ...change }] })).toThrow(message)
  })
})
