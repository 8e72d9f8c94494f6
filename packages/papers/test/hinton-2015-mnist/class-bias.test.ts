import { rng } from '@imago/tensor'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bestShift, biasRows, errorsAt, shiftToPrior } from '../../src/hinton-2015-mnist/class-bias.js'

/** Logits, labels and raised classes; ties between classes do not occur. */
const cases = fc
  .record({
    seed: fc.nat(1e6),
    rows: fc.integer({ min: 1, max: 40 }),
    classes: fc.integer({ min: 2, max: 6 }),
    scale: fc.constantFrom(0.1, 3, 40),
  })
  .map(({ seed, rows, classes, scale }) => {
    const random = rng(seed)
    const logits = Float64Array.from({ length: rows * classes }, () => scale * random.normal())
    const labels = Int32Array.from({ length: rows }, () => random.integer(classes))
    const first = random.integer(classes)
    const isRaised = Array.from({ length: classes }, (_, c) => c === first || random.uniform() < 0.4)
    isRaised[(first + 1) % classes] = false
    return { logits, labels, isRaised, classes, rows }
  })

/** As it is said: add the shift, take the largest. */
function naiveErrors(
  { logits, labels, isRaised, classes, rows }: { [K in keyof Case]: Case[K] },
  shift: number,
  of = (_: number) => true,
): number {
  let errors = 0
  for (let row = 0; row < rows; row++) {
    const z = [...logits.slice(row * classes, (row + 1) * classes)].map((v, c) => v + (isRaised[c] ? shift : 0))
    if (of(labels[row]!) && z.indexOf(Math.max(...z)) !== labels[row]) errors++
  }
  return errors
}
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never

describe('a constant on the biases of some classes', () => {
  it('counts what adding it to the logits gives', () => {
    fc.assert(
      fc.property(cases, fc.double({ min: -60, max: 60, noNaN: true }), (one, shift) => {
        const rows = biasRows(one.logits, one.isRaised)
        const even = (label: number): boolean => label % 2 === 0
        expect(errorsAt(rows, one.labels, shift)).toBe(naiveErrors(one, shift))
        expect(errorsAt(rows, one.labels, shift, even)).toBe(naiveErrors(one, shift, even))
      }),
    )
  })

  it('no shift makes fewer errors than the best one', () => {
    fc.assert(
      fc.property(cases, (one) => {
        const rows = biasRows(one.logits, one.isRaised)
        const fewest = naiveErrors(one, bestShift(rows, one.labels))
        // Errors change at margins only: just beside each of them is everything that there is to try.
        for (const margin of rows.margin)
          for (const near of [-1e-6, 1e-6]) expect(naiveErrors(one, margin + near)).toBeGreaterThanOrEqual(fewest)
      }),
    )
  })

  it('by the prior, the mean probability of the raised classes is the prior', () => {
    fc.assert(
      fc.property(cases, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (one, prior) => {
        const { logits, isRaised, classes, rows } = one
        const shift = shiftToPrior(biasRows(logits, isRaised), prior)
        let mean = 0
        for (let row = 0; row < rows; row++) {
          const z = [...logits.slice(row * classes, (row + 1) * classes)].map((v, c) => v + (isRaised[c] ? shift : 0))
          const top = Math.max(...z)
          const p = z.map((v) => Math.exp(v - top))
          const all = p.reduce((a, b) => a + b)
          mean += p.filter((_, c) => isRaised[c]).reduce((a, b) => a + b, 0) / all / rows
        }
        expect(mean).toBeCloseTo(prior, 9)
      }),
    )
  })

  it('refuses rows that are cut, all classes raised or none, and a prior that is none', () => {
    expect(() => biasRows([1, 2, 3], [true, false])).toThrow(/rows of 2 classes/)
    expect(() => biasRows([1, 2], [true, true])).toThrow(/isRaised/)
    expect(() => biasRows([1, 2], [false, false])).toThrow(/isRaised/)
    const rows = biasRows([1, 2], [true, false])
    for (const prior of [0, 1, Number.NaN, -1]) expect(() => shiftToPrior(rows, prior)).toThrow(/prior/)
  })
})
