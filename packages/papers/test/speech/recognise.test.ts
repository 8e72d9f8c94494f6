import { rng } from '@imago/tensor'
import { describe, expect, it } from 'vitest'
import { stateStatistics, wordModel } from '../../src/speech/digit-models.js'
import { digitErrors } from '../../src/speech/recognise.js'
import { speechSplit } from '../../src/speech/speech-split.js'
import { viterbi } from '../../src/speech/viterbi.js'
import { tinyDigits } from './tiny-digits.js'

const digits = tinyDigits({ speakers: ['ann', 'bob', 'cleo'], takes: 8 })
const context = { before: 1, after: 1 }

describe('what the alignment says about states', () => {
  it('is counted', () => {
    const { logPrior, stay } = stateStatistics([[0, 0, 0, 1], [1]], 3)
    // Frames 3, 2, 0 and one more for each; steps out of 0: two stays of three, with one more of each; out of 1: none.
    expect([...logPrior].map((v) => Math.exp(v))).toEqual([4 / 8, 3 / 8, 1 / 8].map((v) => expect.closeTo(v, 12)))
    expect([...stay]).toEqual([3 / 5, 1 / 2, 1 / 2].map((v) => expect.closeTo(v, 12)))
  })
})

describe('a word', () => {
  const { states } = digits
  const stay = new Float64Array(states.length).fill(0.5)
  const model = wordModel(['A', 'B'], states, { stay })
  /** Scores of 0 for the states as named, −100 for all others. */
  const said = (...names: string[]): number[] =>
    names.flatMap((name) => states.map((state) => (state === name ? 0 : -100)))
  const score = (...names: string[]): number => viterbi(said(...names), states.length, model).score

  it('goes from left to right, may leave silence out, last, and skip a state', () => {
    const step = Math.log(0.5)
    const skip = Math.log(0.25)
    const whole = ['A_0', 'A_1', 'A_2', 'B_0', 'B_1', 'B_2']
    expect(score('sil', ...whole, 'sil')).toBeCloseTo(-Math.log(3) + 7 * skip, 9)
    expect(score(...whole)).toBeCloseTo(-Math.log(3) + 5 * skip, 9)
    expect(score('A_1', 'A_1', 'B_0', 'B_2')).toBeCloseTo(-Math.log(3) + step + 2 * skip, 9)
    // Back, two states skipped, or the first phone left out: some frame has to be scored as what it is not.
    expect(score('A_0', 'A_1', 'A_0', 'A_2', 'B_1', 'B_2')).toBeLessThan(-100)
    expect(score('A_0', 'B_0', 'B_1', 'B_2')).toBeLessThan(-100)
    expect(score('B_0', 'B_1', 'B_2')).toBeLessThan(-100)
  })

  it('has phones that have states', () => {
    expect(() => wordModel(['Z'], states, { stay })).toThrow(/Z_0/)
  })
})

describe('digit errors', () => {
  const { train, test } = speechSplit({ digits, context })
  const statistics = stateStatistics(
    train.utterances.map(({ states }) => states),
    digits.states.length,
  )
  const classes = digits.states.length
  const rows = test.frames.rows(Uint32Array.from({ length: test.frames.length }, (_, i) => i))
  const truth = Float32Array.from({ length: rows.labels!.length * classes }, (_, i) =>
    rows.labels![Math.floor(i / classes)] === i % classes ? 8 : 0,
  )

  it('are none where the states are right, and most where they are noise', () => {
    const labels = rows.labels!
    expect(digitErrors({ logits: truth, labels, classes }, test, digits, statistics)).toBe(0)
    const random = rng(3)
    const noise = truth.map(() => random.normal())
    const errors = digitErrors({ logits: noise, labels, classes }, test, digits, statistics)
    // Three words: two thirds of the answers are wrong.
    expect(errors / test.utterances.length).toBeGreaterThan(0.35)
  })
})

describe('the parts', () => {
  it('share no utterance, and a speaker who is left out is in the test alone', () => {
    for (const leaveOut of [undefined, 'bob']) {
      const { train, heldOut, test } = speechSplit({ digits, context, leaveOut })
      const all = [...train.utterances, ...heldOut.utterances, ...test.utterances]
      expect(new Set(all).size).toBe(digits.utterances.length)
      expect(all).toHaveLength(digits.utterances.length)
      if (leaveOut) expect(test.utterances.every(({ speaker }) => speaker === leaveOut)).toBe(true)
      if (leaveOut)
        expect([...train.utterances, ...heldOut.utterances].some(({ speaker }) => speaker === leaveOut)).toBe(false)
      else expect(test.utterances.every(({ index }) => index < 5)).toBe(true)
      expect(heldOut.utterances.length).toBeGreaterThan(0)
      expect(train.frames.length).toBe(train.utterances.reduce((sum, { states }) => sum + states.length, 0))
    }
  })

  it('says who the speakers are where one is not there', () => {
    expect(() => speechSplit({ digits, context, leaveOut: 'zoe' })).toThrow(/ann, bob, cleo/)
  })
})
